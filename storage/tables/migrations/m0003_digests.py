"""Format 3: a release records the digests of its files, and seals its row."""

from __future__ import annotations

from storage.tables.migrations.base import complete_tables
from storage.tables.store import Store

__all__ = ["NAME", "NUMBER", "apply"]

NUMBER = 3
NAME = "digests"


def apply(store: Store) -> None:
    """Add the new columns; they stay null in the releases that there are, which are audited as before."""
    complete_tables(store)
