"""Format 2: releases name roles, content may be a blob, spans have a unit, and staged vectors know their document."""

from __future__ import annotations

from storage.tables.migrations.base import complete_tables
from storage.tables.releases import Releases
from storage.tables.store import Store

__all__ = ["NAME", "NUMBER", "apply"]

NUMBER = 2
NAME = "roles"


def apply(store: Store) -> None:
    """Add the new columns and state the roles of the releases there are, for readers that know nothing but this format.

    What else older rows have no value for is read as it was always meant: text, in characters.
    """
    complete_tables(store)
    Releases(store).state_roles()
