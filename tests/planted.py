"""A chunk table of given vectors, for tests of its indexes."""

from __future__ import annotations

import numpy as np
import polars as pl

from models.vectors import unit
from storage.hashing import digest
from storage.tables import chunks
from storage.tables.roles import Precision
from storage.tables.store import Store

__all__ = ["DIMENSION", "TABLE", "grow", "plant"]

TABLE = "chunks__t"
DIMENSION = 16


def plant(store: Store, vectors: np.ndarray, seed: int = 0, precision: Precision = "float32") -> None:
    """Append a chunk a vector; its id and text tell the seed and its number."""
    names = chunks.chunks_schema(DIMENSION).names[:-1]
    plain = dict.fromkeys(names, "") | {"ordinal": 0, "start": 0, "end": 1, "tokens": 1}
    numbers = range(len(vectors))
    rows = pl.DataFrame([plain | {"id": digest(f"{seed}-{n}"), "text": f"tide {seed} {n}"} for n in numbers])
    chunks.append(store, TABLE, DIMENSION, [(rows.select(names), vectors)], precision)


def grow(store: Store, count: int, seed: int = 0) -> np.ndarray:
    """Append chunks with random vectors of unit length, and give the vectors."""
    vectors = unit(np.random.default_rng(seed).normal(size=(count, DIMENSION)).astype(np.float32))
    plant(store, vectors, seed)
    return vectors
