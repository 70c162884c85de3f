"""Maintain: free what nothing needs any more, in an hour in which no run writes."""

from __future__ import annotations

from dataclasses import dataclass

from flows.config.schema import Config
from flows.run import recorded
from storage.counts import plural
from storage.outcome import Outcome
from storage.tables.housekeeping import keep_small
from storage.tables.releases import Releases
from storage.tables.store import Store
from storage.volume import volume
from tasks.progress import Progress
from tasks.release.publish import let_go

__all__ = ["MaintainResult", "maintain"]


@dataclass(frozen=True)
class MaintainResult:
    """What a maintenance freed.

    Attributes:
        run: The run that did it.
        outcome: Unchanged: readers see what they saw.
        message: One line for people.
        before: Bytes of the store before; None where it lies in an object store.
        after: Bytes of it now.
        counts: `released`, releases that can be returned to no more, and `freed`, bytes, where somebody can tell.
        seconds: Seconds a stage, and `total`.
    """

    run: str
    outcome: Outcome
    message: str
    before: int | None
    after: int | None
    counts: dict[str, int]
    seconds: dict[str, float]


def maintain(config: Config, *, trigger: str = "manual", console: Progress | None = None) -> MaintainResult:
    """Free what nothing needs: releases beyond releases.keep, encoders of none, old versions, torn files.

    Every publish frees most of that by itself; this does it where nothing is published for weeks, and is the one run
    that also removes what killed runs left half written. Readers go on. What a held run embedded stays for the next.

    Args:
        config: The configuration.
        trigger: Who started it, for the record.
        console: Where it says how far it is.

    Raises:
        LeaseHeld: Another run holds the store.
        InputError: A later version of the program made the store.
    """
    store = Store(config.store.uri)
    frame = recorded(store, "maintain", config=config, trigger=trigger, progress=console, lease=True, repair=True)
    with frame as run:
        before = volume(store)
        with run.clock.stage("clean_up"):
            released = let_go(store, config.releases, torn=True)
            keep_small(store, purge=True)
        after = volume(store)
        run.counts = {"released": released} | ({} if before is None or after is None else {"freed": before - after})
        run.base = Releases(store).newest()
        run.conclude(Outcome.UNCHANGED, _told(before, after, released), run.base)
    return MaintainResult(run.id, run.outcome, run.message, before, after, run.counts, run.clock.total())


def _told(before: int | None, after: int | None, released: int) -> str:
    freed = "" if before is None or after is None else f"{max(0, before - after) / 1e6:,.1f} MB freed; "
    return f"{freed}{plural(released, 'release')} can be returned to no more"
