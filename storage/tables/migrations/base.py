"""What every migration is, and the one that most need: columns that were added to the schemas."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import pyarrow as pa

from storage.tables.chunks import ChunkTable, chunks_schema
from storage.tables.documents import DOCUMENTS
from storage.tables.evaluations import EVALUATIONS
from storage.tables.generated import GENERATED
from storage.tables.lease import LEASES
from storage.tables.models import MODELS
from storage.tables.pairs import PAIRS
from storage.tables.quarantine import QUARANTINE
from storage.tables.releases import RELEASES
from storage.tables.roles import chunks_table
from storage.tables.runs import RUNS
from storage.tables.store import Store
from storage.tables.vectors import vectors_schema, vectors_table

__all__ = ["Migration", "complete_tables", "schema_of"]

_FIXED = {
    "documents": DOCUMENTS,
    "evaluations": EVALUATIONS,
    "generated": GENERATED,
    "leases": LEASES,
    "models": MODELS,
    "pairs": PAIRS,
    "quarantine": QUARANTINE,
    "releases": RELEASES,
    "runs": RUNS,
}
_CHUNKS, _VECTORS = chunks_table(""), vectors_table("")


class Migration(Protocol):
    """One step from the format before to format NUMBER; a module is one."""

    NUMBER: int
    NAME: str

    def apply(self, store: Store) -> None:
        """Bring a store there; its caller holds the lease. Killed at any moment, it can be run again."""


def complete_tables(store: Store) -> None:
    """Add every column that a table of the store lacks beside its schema."""
    for name, schema in _schemas(store):
        store.complete(name, schema)


def schema_of(store: Store, table: str) -> pa.Schema | None:
    """The schema that this version of the program gives a table of the store; None for one that it does not know."""
    if table in _FIXED:
        return _FIXED[table]
    if table.startswith(_CHUNKS):
        held = ChunkTable(store, table)
        return chunks_schema(held.dimension, held.precision)
    if table.startswith(_VECTORS):
        return vectors_schema(store.open(table).schema.field("vector").type.list_size)
    return None


def _schemas(store: Store) -> Iterator[tuple[str, pa.Schema]]:
    for name in store.tables():
        schema = schema_of(store, name)
        if schema is not None:
            yield name, schema
