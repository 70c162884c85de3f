"""Format 4: a staged vector has a seal, by which one that was damaged is told from a whole one."""

from __future__ import annotations

from storage.tables.migrations.base import complete_tables
from storage.tables.store import Store

__all__ = ["NAME", "NUMBER", "apply"]

NUMBER = 4
NAME = "seals"


def apply(store: Store) -> None:
    """Add the new column; it stays null in the vectors that were staged without one, which are taken as they are."""
    complete_tables(store)
