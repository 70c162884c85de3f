"""Exact search of many questions at once: the same answer every time, in one pass over the table."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from models.vectors import unit
from storage.tables.chunks import ChunkTable

__all__ = ["FOUND", "nearest_exact"]

FOUND = pl.Schema({"query": pl.UInt32, "id": pl.String, "key": pl.String, "score": pl.Float32})

_NAMES = {"id": pl.String, "key": pl.String}

SLICE = 512  # chunks compared at once: of larger slices Lance holds several
BLOCK = 1_024  # queries compared at once: their scores with a slice take 2 MiB
PAIRS = 2_048  # scored at once in float64
DIGITS = 6  # of a score: equal vectors have equal ones


def nearest_exact(
    chunks: ChunkTable, queries: npt.NDArray[np.float32], k: int, *, keys: pl.Series | None = None
) -> pl.DataFrame:
    """The k chunks of highest cosine similarity to each query, compared with every chunk.

    It holds a slice of the table, and n x k rows of what was found. Beside `tasks.learn.nearest`, which ranks documents
    for evaluations: here is told which chunk was found, as whoever mines or shows texts needs it.

    Args:
        chunks: A chunk table at one version.
        queries: float32 of shape (n, dimension), of unit norm.
        k: Chunks a query; fewer where there are fewer.
        keys: Documents whose chunks are searched; all if None.

    Returns:
        FOUND: number of the query, id and document of the chunk, score. The best come first within a query; of equal
        scores, to six digits, the smaller id does.
    """
    best = _Best(len(queries), k)
    fits = pl.lit(True) if keys is None else pl.col("key").is_in(keys.implode())
    for every in chunks.columns(["id", "key", "vector"], rows=SLICE):
        part = every.filter(fits)
        if part.is_empty():
            continue
        vectors = unit(part["vector"].to_numpy())
        # Copied: a column of a slice that is kept keeps the whole slice, vectors and all.
        rows = pl.DataFrame({name: part[name].to_list() for name in ("id", "key")}, schema_overrides=_NAMES)
        for at in range(0, len(queries), BLOCK):
            best.offer(at, queries[at : at + BLOCK], vectors, rows)
    return best.rows()


class _Best:
    """What was found so far, and how good a chunk must be to be found."""

    def __init__(self, queries: int, k: int) -> None:
        self.k = k
        self.limits = np.full(queries, -np.inf, dtype=np.float32)
        self.best = pl.DataFrame(schema=FOUND)
        self.waiting: list[pl.DataFrame] = []
        self.most = max(1, queries * k)

    def offer(
        self, first: int, queries: npt.NDArray[np.float32], vectors: npt.NDArray[np.float32], rows: pl.DataFrame
    ) -> None:
        """Take the chunks of a slice that may be among the best.

        Args:
            first: Number of the first query of the block.
            queries: Shape (block, dimension).
            vectors: Shape (slice, dimension); one that is not finite is never found.
            rows: Id and document of the chunks of the slice.
        """
        scores = queries @ vectors.T
        limits = self.limits[first : first + len(scores)]
        good = scores >= limits[:, None]
        if rows.height > self.k and np.count_nonzero(good) > len(scores) * self.k:
            # Worse than k others of its own slice: this is what thins the first slices out.
            ranked = np.nan_to_num(scores, nan=-np.inf)
            kth = np.partition(ranked, rows.height - self.k, axis=1)[:, rows.height - self.k] - 10.0**-DIGITS
            good = scores >= np.maximum(limits, kth)[:, None]
        query, row = np.nonzero(good)
        if not len(query):
            return
        found = rows[row].with_columns(
            pl.Series("query", (query + first).astype(np.uint32)),
            pl.Series("score", _similarities(queries, vectors, query, row)),
        )
        self.waiting.append(found.select(FOUND.names()))
        if sum(part.height for part in self.waiting) >= self.most:
            self._settle()

    def rows(self) -> pl.DataFrame:
        """The k best of each query, in order."""
        self._settle()
        return self.best

    def _settle(self) -> None:
        every = pl.concat([self.best, *self.waiting]).sort(
            "query", "score", "id", descending=[False, True, False], maintain_order=True
        )
        self.waiting = []
        self.best = every.filter(pl.int_range(pl.len()).over("query") < self.k)
        full = self.best.group_by("query").agg(pl.len(), pl.col("score").min()).filter(pl.col("len") == self.k)
        # A hair below the k-th: one that rounds to the same score may have the smaller id.
        self.limits[full["query"].to_numpy()] = full["score"].to_numpy() - 10.0**-DIGITS


def _similarities(
    queries: npt.NDArray[np.float32],
    vectors: npt.NDArray[np.float32],
    query: npt.NDArray[np.int64],
    row: npt.NDArray[np.int64],
) -> npt.NDArray[np.float32]:
    """Score pairs anew in float64: the last digits of a product of matrices depend on where a row stands in it."""
    scores = np.empty(len(query), dtype=np.float32)
    for at in range(0, len(query), PAIRS):
        some = slice(at, at + PAIRS)
        products = queries[query[some]].astype(np.float64) * vectors[row[some]]
        scores[some] = products.sum(axis=1).round(DIGITS)
    return scores
