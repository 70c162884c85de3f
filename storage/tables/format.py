"""The format of a store: which version of the program can read it, and how an older one grows to the newest."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import pyarrow as pa

from storage.errors import InputError, Unreachable, faults
from storage.tables.columns import TIME, key_field, strings
from storage.tables.lease import Lease
from storage.tables.store import Store, read

__all__ = ["FORMAT", "FORMATS", "check", "migrate", "number", "upgrade"]

_TABLE = "format"
_FIRST = 1  # what stores had that say nothing of a format
_BORN = "new"
_FAR = 100  # formats

FORMAT = 4  # the number of the last migration
FORMATS = pa.schema([key_field("number", pa.int64()), *strings("name"), pa.field("applied", TIME), *strings("code")])


def number(store: Store) -> int:
    """The format of a store; one that is not there yet has the newest."""
    recorded = _recorded(store)
    if recorded is not None:
        return recorded
    return _FIRST if _written(store) else FORMAT


def check(store: Store) -> None:
    """Make sure that this version of the program understands a store; costs one small read.

    An older format needs nothing: it is read as it is, and the next run that writes migrates it.

    Raises:
        InputError: A later version of the program made the store.
    """
    _refuse(store, _recorded(store))


def migrate(store: Store) -> list[str]:
    """Bring a store to the newest format, step by step; its caller holds the lease.

    Each step adds, and only after it is done its number is recorded: killed at any moment, the next call goes on.

    Returns:
        Names of the migrations that were applied.

    Raises:
        InputError: A later version of the program made the store.
    """
    recorded = _recorded(store)
    _refuse(store, recorded)
    if recorded == FORMAT:
        return []
    if recorded is None and not _written(store):
        _record(store, FORMAT, _BORN)
        return []
    from storage.tables.migrations import MIGRATIONS  # they know every table: more than a reader should have to load

    applied = []
    for migration in MIGRATIONS:
        if (recorded or _FIRST) < migration.NUMBER:
            migration.apply(store)
            _record(store, migration.NUMBER, migration.NAME)
            applied.append(migration.NAME)
    return applied


def upgrade(store: Store, run: str) -> list[str]:
    """Migrate a store for a run that holds no lease: it takes one for the migration alone, and only if there is one.

    Raises:
        InputError: A later version of the program made the store.
        LeaseHeld: Another run writes; it migrates the store itself.
    """
    check(store)
    if number(store) == FORMAT:
        return []
    with Lease(store, run):
        return migrate(store)


def _refuse(store: Store, recorded: int | None) -> None:
    if recorded is not None and recorded > FORMAT:
        raise InputError(
            f"{store.uri} has format {recorded}, made by a later Tidemark; this one knows up to {FORMAT}: "
            "upgrade tidemark"
        )


def _recorded(store: Store) -> int | None:
    """The highest number that the store names; None where it names none."""
    try:
        table = store.find(_TABLE)
        numbers: list[Any] = [] if table is None else read(table, FORMATS, ["number"])["number"].to_pylist()
    except (Unreachable, InputError):
        raise
    except faults():  # damaged: no reason to turn readers away, and `mend` makes it anew
        return None
    # A number far beyond is damage: it must not turn every command away, the one that repairs it among them.
    return max((number for number in numbers if number <= FORMAT + _FAR), default=None)


def _written(store: Store) -> bool:
    """Whether a run ever wrote to the store; taking its lease alone makes it no store of an older format."""
    return bool({*store.tables()} - {_TABLE, "leases"})


def _record(store: Store, reached: int, name: str) -> None:
    row = {"number": reached, "name": name, "applied": datetime.now(UTC), "code": version("tidemark")}
    store.insert_new(_TABLE, FORMATS, "number", row)
