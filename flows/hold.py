"""Hold and unhold: keep readers on the release that they have, whatever nights build, until somebody lets go."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic, sleep

from storage.tables.holds import Hold, Holds, whoever
from storage.tables.lease import holder
from storage.tables.releases import Releases
from storage.tables.store import Store

__all__ = ["HoldResult", "hold", "unhold"]

PATIENCE = 10.0  # seconds that a publish at this very moment may take, where it takes milliseconds
_LOOK = 0.1


@dataclass(frozen=True)
class HoldResult:
    """What readers are kept to, or no longer are.

    Attributes:
        release: The release that they see now; None before the first.
        holds: Those that stand now, or those that were lifted.
        message: One line for people.
    """

    release: int | None
    holds: tuple[Hold, ...]
    message: str


def hold(store: Store, why: str, *, patience: float = PATIENCE) -> HoldResult:
    """Let nights build, audit and evaluate, and publish nothing; somebody at the command may still roll back.

    A run that is about to publish looks for holds right before it writes its release, and pins its tables before that
    look. So whoever does not see the new hold has pinned its tables already, and is waited for: what this returns is
    the release that stays.

    Args:
        store: The store.
        why: The reason, for whoever finds it held.
        patience: Seconds to wait for a run that publishes at this very moment.

    Raises:
        InputError: The reason is blank.
    """
    releases = Releases(store)
    placed = Holds(store).place(why, whoever(), releases.newest(), datetime.now(UTC))
    deadline, doubt = monotonic() + patience, ""
    while (run := holder(store)) is not None and releases.publishing():
        if monotonic() >= deadline:
            doubt = f"; but run {run} is about to publish at this very moment, and may be past its last look for holds"
            break
        sleep(_LOOK)
    release = releases.newest()
    return HoldResult(release, (Holds(store).keep(placed, release),), _kept(release) + doubt)


def unhold(store: Store) -> HoldResult:
    """Lift every hold: the next run publishes again, and embeds only what held runs have not embedded already.

    Args:
        store: The store.
    """
    lifted = Holds(store).lift(whoever(), datetime.now(UTC))
    told = "the next run publishes again" if lifted else "nothing is held"
    return HoldResult(Releases(store).newest(), tuple(lifted), told)


def _kept(release: int | None) -> str:
    seen = "nothing is published yet, and stays so" if release is None else f"readers keep release {release}"
    return f"{seen} until `tidemark unhold`"
