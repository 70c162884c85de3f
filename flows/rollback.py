"""Roll back: append a release that points to an earlier one's tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, ClassVar

from flows.config.schema import Config
from flows.dashboard.api import next_due
from flows.hold import hold as held
from flows.run import recorded
from flows.table import Option
from storage.diff import diff
from storage.errors import TidemarkError, faults
from storage.outcome import Outcome
from storage.tables.holds import Hold, Holds, whoever
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
        hold: Why readers are kept to it; None where the next run may publish over it.
        changes: Documents that differ from the release before, which the next run may publish again; None where that
            one is not kept.
        upcoming: When the next refresh is due; None where readers are kept, or no dashboard says so.
    """

    release: int
    restored: int
    run: str
    hold: str | None = None
    changes: int | None = field(default=None, compare=False)
    upcoming: datetime | None = field(default=None, compare=False)

    outcome: ClassVar[Outcome] = Outcome.PUBLISHED

    @property
    def message(self) -> str:
        """One line for people."""
        kept = "" if self.hold is None else f", and stays until `tidemark unhold`: {self.hold}"
        return f"release {self.release} restores release {self.restored}{kept}"


def rollback(
    config: Config,
    to: Annotated[int | None, Option(metavar="N")] = None,
    *,
    hold: Annotated[str | None, Option(metavar="WHY")] = None,
    trigger: str = "manual",
) -> RollbackResult:
    """Publish a release that points back to an earlier one; nothing is embedded or deleted.

    It takes no lease: the compare-and-set on the release number arbitrates, and a refresh at work finds its base moved
    and publishes nothing. Whether somebody holds the store does not stop it: a person asks for it.

    Args:
        config: The configuration.
        to: The release; else the one before.
        hold: Keep readers there until `tidemark unhold`, for this reason; else the next run publishes again.
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
        with _holding(store, hold) as placed:
            release = releases.rollback(to, run.id)
        if placed is not None:
            Holds(store).keep(placed, release.seq)
        # Whoever held it before keeps readers there as well.
        why = "; ".join(each.why for each in Holds(store).standing()) or None
        changes = _changes(store, run.base, release.seq)
        due = next_due(config.base) if why is None else None
        result = RollbackResult(release.seq, int(release.restored or 0), run.id, why, changes, due)
        run.conclude(result.outcome, result.message, result.release)
    return result


def _changes(store: Store, before: int, after: int) -> int | None:
    """How many documents readers see otherwise than before."""
    try:
        return sum(diff(store.uri, before, after).counts.values())
    except faults():  # the release that was taken back is not kept, or it is damaged, and that is why
        return None


@contextmanager
def _holding(store: Store, why: str | None) -> Iterator[Hold | None]:
    """Hold the store before readers go back, so that no night comes in between; not where they do not go back.

    A kill in between leaves the hold, which can be seen and lifted, and never a rollback that a night undoes.
    """
    if why is None:
        yield None
        return
    (placed,) = held(store, why).holds
    try:
        yield placed
    except TidemarkError:
        Holds(store).lift(whoever(), datetime.now(UTC), placed.hold)
        raise
