"""Roll back: append a release that points to an earlier one's tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from flows.config.schema import Config
from flows.run import recorded
from flows.table import Option
from storage.outcome import Outcome
from storage.tables.releases import Releases
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

    outcome: ClassVar[Outcome] = Outcome.PUBLISHED

    @property
    def message(self) -> str:
        """One line for people."""
        return f"release {self.release} restores release {self.restored}"


def rollback(
    config: Config, to: Annotated[int | None, Option(metavar="N")] = None, *, trigger: str = "manual"
) -> RollbackResult:
    """Publish a release that points back to an earlier one; nothing is embedded or deleted.

    It takes no lease: the compare-and-set on the release number arbitrates, and a refresh at work finds its base moved
    and publishes nothing.

    Args:
        config: The configuration.
        to: The release; else the one before.
        trigger: Who started it, for the record.

    Raises:
        InputError: There is no such release, it is no longer kept, or a later version of the program made the store.
        LeaseHeld: The store is of an older format, and another run migrates it right now.
        ReleaseMoved: Another release was published at the same moment.
    """
    store = Store(config.store.uri)
    releases = Releases(store)
    with recorded(store, "rollback", config=config, trigger=trigger, lease=False) as run:
        run.base = releases.get().seq
        release = releases.rollback(to, run.id)
        result = RollbackResult(release.seq, int(release.restored or 0), run.id)
        run.conclude(result.outcome, result.message, result.release)
    return result
