"""Recall of the vector index against exact search, measured with vectors of the table itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from models.vectors import unit
from storage.tables.chunks import ChunkTable
from storage.tables.index import nearest
from storage.tables.roles import IndexFacts

__all__ = ["Probes"]

K = 10
TOLERANCE = 1e-5  # of a distance: equal vectors are not told apart


@dataclass(frozen=True)
class Probes:
    """Queries and how far their exact k-th neighbours are.

    Attributes:
        queries: float32 of shape (n, dimension).
        limits: Cosine distance of each query's k-th nearest row, shape (n,).
        k: How many neighbours count.
    """

    queries: npt.NDArray[np.float32]
    limits: npt.NDArray[np.float32]
    k: int

    @classmethod
    def of(cls, chunks: ChunkTable, count: int, k: int = K) -> Self:
        """Take evenly spread rows as queries and search them exactly, all in one pass over the table.

        Args:
            chunks: A chunk table.
            count: How many queries, at most.
            k: How many neighbours count.
        """
        rows = chunks.rows
        k = min(k, rows)
        at = np.unique(np.linspace(0, rows - 1, min(count, rows)).astype(np.int64))
        vectors = chunks.take(at.tolist())
        queries = unit(vectors[np.isfinite(vectors).all(axis=1)])  # another check reports the others
        nearest_yet = np.full((len(queries), k), np.inf, dtype=np.float32)
        for vectors in chunks.vectors():
            distances = 1 - queries @ unit(vectors).T
            both = np.concatenate([nearest_yet, np.nan_to_num(distances, nan=np.inf)], axis=1)
            nearest_yet = np.partition(both, k - 1, axis=1)[:, :k]
        return cls(queries, nearest_yet.max(axis=1, initial=0), k)

    def recall(self, chunks: ChunkTable, index: IndexFacts) -> float:
        """Share of the k nearest rows that a search by the index finds; 1 where there is nothing to find.

        A found row counts when it is as near as the exact k-th: equal vectors do not count as misses.

        Args:
            chunks: The chunk table.
            index: How the index is searched.
        """
        hits, chunks = 0, chunks.sparing()
        for query, limit in zip(self.queries, self.limits, strict=True):
            found = nearest(chunks, query, self.k, ["id"], index)["_distance"].to_numpy()
            hits += int((found <= limit + TOLERANCE).sum())
        total = len(self.queries) * self.k
        return hits / total if total else 1.0
