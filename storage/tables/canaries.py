"""The `canaries` table: what fixed texts were as vectors when the vectors of a space were made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from storage.tables.columns import TIME, decoding, key_field, strings, unpacked
from storage.tables.store import Store, pick

__all__ = ["CANARIES", "PACKED", "TABLE", "Canaries", "Canary"]

TABLE = "canaries"
PACKED = ("made_with",)  # which is kept as JSON

# One row a space. The texts stand beside their vectors: a later version of the program may have others.
CANARIES = pa.schema(
    [
        key_field("space", pa.string()),
        *strings("run", "made_with"),
        pa.field("created", TIME),
        pa.field("texts", pa.list_(pa.string())),
        pa.field("dimension", pa.int32()),
        pa.field("vectors", pa.list_(pa.float32())),
    ]
)


@dataclass(frozen=True)
class Canary:
    """What the encoder of a space made of fixed texts.

    Attributes:
        texts: n texts.
        vectors: Of them as documents, float32 of shape (n, dimension).
        made_with: What the vectors depend on beside the files of the encoder: libraries and kernels by name.
        created: When it was kept; None where nobody noted it.
    """

    texts: tuple[str, ...]
    vectors: npt.NDArray[np.float32]
    made_with: Mapping[str, str] = field(default_factory=dict)
    created: datetime | None = None


class Canaries:
    """The `canaries` table of a store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def get(self, space: str) -> Canary | None:
        """What is kept of a space; None where nothing is."""
        table = self.store.find(TABLE)
        rows = [] if table is None else pick(table, CANARIES, "space", [space]).to_pylist()
        if not rows:
            return None
        row = rows[0]
        record = f"the canary of {space}"
        with decoding(record):
            vectors = np.array(row["vectors"], dtype=np.float32).reshape(-1, row["dimension"])
            return Canary(tuple(row["texts"]), vectors, unpacked(record, row["made_with"], {}), row["created"])

    def set(self, space: str, canary: Canary, run: str, now: datetime) -> None:
        """Keep a canary instead of what was kept of the space before."""
        row = {
            "space": space,
            "run": run,
            "made_with": json.dumps(dict(canary.made_with), sort_keys=True),
            "created": now,
            "texts": list(canary.texts),
            "dimension": canary.vectors.shape[1],
            "vectors": canary.vectors.ravel(),
        }
        self.store.upsert(TABLE, CANARIES, "space", [row])

    def drop(self, space: str, *, unless: str) -> None:
        """Forget what was kept of a space, unless a run kept it that goes on."""
        table = self.store.find(TABLE)
        rows = [] if table is None else pick(table, CANARIES, "space", [space], ["run"]).to_pylist()
        if any(row["run"] != unless for row in rows):
            self.store.delete_keys(TABLE, "space", [space])
