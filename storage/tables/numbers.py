"""Numbers of releases that were published once: one that was lost is never given to another state."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from storage.errors import Unreachable, faults
from storage.tables.store import Store, read
from storage.tables.tags import tags_of

__all__ = ["last_number", "lost_numbers"]

_RELEASE = pa.schema([pa.field("release", pa.int64())])  # of the table of runs


def last_number(store: Store, newest: Callable[[], int | None]) -> int:
    """The highest number that any release had, 0 before the first.

    The records of runs name those that an older copy of the table, put back, does not hold; so do tags. A tag of the
    next number alone says nothing: a run pins its tables before it publishes.

    Args:
        store: The store.
        newest: Gives the number of the newest release. It is asked last, so that no run that publishes at this moment
            is taken for one whose release was lost.
    """
    runs, tags = _told(lambda: _runs(store)), _told(lambda: _tags(store))
    now = newest() or 0
    tagged = [tag for tag in tags if tag > now + 1]
    return max([now, *runs, *tagged])


def lost_numbers(store: Store, newest: Callable[[], int | None]) -> str:
    """The numbers above the newest release that others had, as `4` or `4 to 6`; empty where there are none."""
    last, now = last_number(store, newest), newest() or 0
    return "" if last <= now else f"{last}" if last == now + 1 else f"{now + 1} to {last}"


def _runs(store: Store) -> list[int]:
    table = store.find("runs")
    rows: list[int | None] = [] if table is None else read(table, _RELEASE)["release"].to_pylist()
    return [run for run in rows if run is not None]


def _tags(store: Store) -> list[int]:
    documents = store.find("documents")
    names = set() if documents is None else tags_of(documents)
    return [int(tag.split("-")[1]) for tag in names if tag.startswith("rel-")]


def _told(ask: Callable[[], list[int]]) -> list[int]:
    """What one witness says; one that cannot be read says nothing, and an audit tells that."""
    try:
        return ask()
    except Unreachable:
        raise
    except faults():
        return []
