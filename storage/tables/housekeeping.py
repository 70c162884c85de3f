"""Keeps the tables that every night writes to small: few files, few versions, few rows of old leases."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

import pyarrow.compute as pc

from storage.errors import faults
from storage.tables.lease import LEASES
from storage.tables.queries import FILES_TABLE, PREFIX
from storage.tables.store import Store, read

if TYPE_CHECKING:
    import lance

__all__ = ["keep_small"]

logger = logging.getLogger(__name__)

_TABLES = (
    *("runs", "leases", "quarantine", "releases", "evaluations", "format", "generated", "models"),
    *("drift", "nights", "vocabulary", "canaries", FILES_TABLE, "holds", "notices", "waivers", "retries"),
)
_FRAGMENTS = 16  # each night leaves one or two: more of them slow every look
_VERSIONS = 64  # written since the last time; a heartbeat makes one without a fragment
_ROWS = 1_024  # of a fragment that is left alone: else each time would write the whole past again
_LEASES = 50
_MARK = "tidemark.vacuumed"
# A reader holds a version of these tables for the milliseconds of one read, but may be stopped or slow in it: its files
# must not go. An hour is beyond doubt; of runs that follow each other in seconds, minutes are enough.
_YOUNG = timedelta(hours=1)
_CROWDED, _YOUNGEST = 1_000, timedelta(minutes=5)


def keep_small(store: Store, *, purge: bool = False) -> None:
    """Compact the record tables and free their old versions, once there is enough to do; the caller holds the lease.

    Args:
        store: The store.
        purge: Do it however little there is to do, and take deleted rows out of the files: without that they stay
            readable there as long as other rows of their file live.

    What costs is done once in some sixteen nights and is bounded by what these left: an ordinary night pays for a look
    at each table. Readers, and runs that record without a lease, go on meanwhile. Whatever fails, because somebody
    wrote at the same moment or the store does not answer, is tried again the next night.
    """
    for name in (*_TABLES, *(name for name in store.tables() if name.startswith(PREFIX))):
        try:
            _tidy(store, name, purge=purge)
        except faults() as error:
            logger.info("table %s is tidied the next night: %s", name, error)


def _tidy(store: Store, name: str, *, purge: bool) -> None:
    table = store.find(name)
    if table is None:
        return
    fragments = len(table.get_fragments())
    written = table.version - int(table.config().get(_MARK, 0))
    if not purge and fragments <= _FRAGMENTS + table.count_rows() // _ROWS and written <= _VERSIONS:
        return
    if name == "leases":
        _forget(table)
    spared = 0.0 if purge else 0.1  # share of deleted rows that a file may keep
    table.optimize.compact_files(target_rows_per_fragment=_ROWS, materialize_deletions_threshold=spared)
    table = store.open(name)
    # The mark comes first: a kill after it costs old files their place until the next time, and no row anything.
    table.update_config({_MARK: str(table.version)})
    store.vacuum(name, _YOUNG if written <= _CROWDED else _YOUNGEST)


def _forget(leases: lance.LanceDataset) -> None:
    """Delete old leases, but never the newest: its token is the one that the next must exceed.

    A holder that died never released its lease. Whoever came after took it over, so its row says nothing any more.
    """
    newest = pc.max(read(leases, LEASES, ["token"])["token"]).as_py()
    if newest is not None:
        leases.delete(f"token <= {int(newest) - _LEASES}")
