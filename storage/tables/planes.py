"""The `planes` table: the plane on which the vectors of a space are drawn, fixed once, so that nights compare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from storage.tables.columns import TIME, key_field
from storage.tables.store import Store, pick

__all__ = ["PLANES", "TABLE", "Planes"]

TABLE = "planes"

# One row a space: a point of the plane, and two directions of unit length, each of as many numbers as a vector has.
PLANES = pa.schema(
    [
        key_field("space", pa.string()),
        pa.field("release", pa.int64()),
        pa.field("sampled", pa.int32()),
        *(pa.field(name, pa.list_(pa.float32())) for name in ("centre", "across", "up")),
        pa.field("created", TIME),
    ]
)


class Planes:
    """The `planes` table of a store; a row that is there is never written again."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def find(self, space: str) -> dict[str, Any] | None:
        """The plane of a space; None where no run has fixed one yet."""
        table = self.store.find(TABLE)
        rows = [] if table is None else pick(table, PLANES, "space", [space]).to_pylist()
        return rows[0] if rows else None

    def fix(self, row: Mapping[str, Any]) -> None:
        """Fix the plane of a space, unless it has one.

        Args:
            row: The columns of PLANES.
        """
        self.store.insert_new(TABLE, PLANES, "space", dict(row))
