"""Drafts of releases for tests that publish tables of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from storage.tables.releases import Draft
from storage.tables.roles import TEXT, EncoderRecord, IndexFacts, Role

__all__ = ["drafted"]


def drafted(tables: Mapping[str, int], *, space: str = "a" * 32, run: str = "r", **facts: Any) -> Draft:
    """A draft whose text role is the one chunk table among the tables, searched exactly.

    Args:
        tables: Table name to version.
        space: Id of the space.
        run: The run that made it.
        **facts: Other fields of the draft; `name`, `index` and `chunker` of the role.
    """
    encoder = EncoderRecord(id=space, name=facts.pop("name", "stub"))
    table = next((name for name in tables if name.startswith("chunks__")), None)
    version = None if table is None else tables[table]
    role = Role(space, encoder, table, version, facts.pop("index", IndexFacts()), facts.pop("chunker", ""))
    return Draft(run=run, tables=dict(tables), roles={TEXT: role}, **facts)
