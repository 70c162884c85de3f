"""Roll back: append a release that points to an earlier one's tables."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from flows.config.schema import Config
from storage.tables.format import upgrade
from storage.tables.releases import Releases
from storage.tables.runs import Runs, new_run
from storage.tables.store import Store

__all__ = ["RollbackResult", "rollback"]


@dataclass(frozen=True)
class RollbackResult:
    """What readers see now.

    Attributes:
        release: Number of the new release.
        restored: The release whose tables, space and encoder it points to.
        run: The run that did it.
    """

    release: int
    restored: int
    run: str


def rollback(config: Config, to: int | None = None, *, trigger: str = "manual") -> RollbackResult:
    """Go back to an earlier release, the one before the current if none is named.

    It takes no lease: the compare-and-set on the release number arbitrates, and a refresh at work finds its base moved
    and publishes nothing.

    Args:
        config: The configuration.
        to: Number of the release.
        trigger: Who started it, for the record.

    Raises:
        InputError: There is no such release, it is no longer kept, or a later version of the program made the store.
        LeaseHeld: The store is of an older format, and another run migrates it right now.
        ReleaseMoved: Another release was published at the same moment.
    """
    store = Store(config.store.uri)
    run, started = new_run(), datetime.now(UTC)
    upgrade(store, run)
    releases = Releases(store)
    base = releases.get().seq
    release = releases.rollback(to, run)
    restored = int(release.restored or 0)
    about = {"config": json.loads(config.to_json()), "base": base, "release": release.seq, "trigger": trigger}
    message = f"release {release.seq} restores release {restored}"
    Runs(store).record(run, "rollback", "published", started, message=message, **about)
    return RollbackResult(release.seq, restored, run)
