"""The nearest documents of many questions, exactly, in one pass over a chunk table, for several pools at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from models.vectors import unit
from storage.tables.chunks import ChunkTable
from storage.tables.shortlist import Shortlist

__all__ = ["DIGITS", "Asked", "Ranking", "nearest_documents"]

SLICE = 2_048  # chunks compared at once
BLOCK = 512  # questions compared at once: their scores with a slice take 4 MiB
DIGITS = 6  # of a score that count: the last ones depend on where a row stands in a matrix
NONE = -1  # stands for no document


@dataclass(frozen=True)
class Ranking:
    """Documents of each question, best first.

    Attributes:
        documents: int32 of shape (n, depth): numbers of documents, NONE where there are no more.
        scores: float32 of the same shape; -inf where there are no more.
    """

    documents: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float32]

    def frame(self) -> pl.DataFrame:
        """The ranking as rows: query, document, score; best first within a query."""
        query, place = np.nonzero(self.documents != NONE)
        return pl.DataFrame(
            {
                "query": query.astype(np.uint32),
                "document": self.documents[query, place],
                "score": self.scores[query, place],
            }
        )


class Asked:
    """Questions with one pool, and the nearest documents found for them so far.

    A document is as near as its nearest chunk. Kept are `depth` documents a question: one that was let go comes back
    with a chunk that is nearer than the last of them, and then with the score of that chunk, which is its best.

    Args:
        queries: float32 of shape (n, dimension), of unit norm.
        depth: Documents a question.
        pool: Whether each document may be found, bool of shape (documents,).
    """

    def __init__(self, queries: npt.NDArray[np.float32], depth: int, pool: npt.NDArray[np.bool_]) -> None:
        self.queries = queries
        self.pool = pool
        self.depth = depth
        self._best = np.full((len(queries), depth), -np.inf, dtype=np.float32)
        self._which = np.full((len(queries), depth), NONE, dtype=np.int32)
        self._place = np.full(len(pool), NONE, dtype=np.int32)  # of each document in the slice that is looked at

    def offer(self, vectors: npt.NDArray[np.float32], documents: npt.NDArray[np.int32]) -> None:
        """Compare a slice of chunks.

        Args:
            vectors: Shape (rows, dimension), of unit norm.
            documents: The document of each row, sorted.
        """
        fits = self.pool[documents]
        if not fits.any():
            return
        vectors, documents = vectors[fits], documents[fits]
        there, starts = np.unique(documents, return_index=True)
        self._place[there] = np.arange(len(there))
        for at in range(0, len(self.queries), BLOCK):
            scores = np.maximum.reduceat(self.queries[at : at + BLOCK] @ vectors.T, starts, axis=1)
            self._take(at, scores, there)
        self._place[there] = NONE

    def ranking(self) -> Ranking:
        """What was found; of equal scores, to six digits, the document of the smaller number comes first."""
        scores = np.round(self._best, DIGITS)
        order = np.lexsort((self._which, -scores), axis=1)
        return Ranking(np.take_along_axis(self._which, order, 1), np.take_along_axis(scores, order, 1))

    def _take(self, at: int, scores: npt.NDArray[np.float32], there: npt.NDArray[np.int32]) -> None:
        """Keep the best of a block's documents so far and those of the slice.

        Args:
            at: Number of the block's first question.
            scores: Shape (block, documents of the slice).
            there: The documents of the slice.
        """
        limits = self._best[at : at + len(scores)].min(axis=1)
        rows = np.flatnonzero((scores > limits[:, None]).any(axis=1))  # of the others nothing changes
        if not len(rows):
            return
        scores = scores[rows]
        best, which = self._best[at + rows], self._which[at + rows]
        # A document that was found before keeps its place with the better score, and is not taken twice.
        row, column = np.nonzero((which != NONE) & (self._place[which] != NONE))
        seen = self._place[which[row, column]]
        best[row, column] = np.maximum(best[row, column], scores[row, seen])
        scores[row, seen] = -np.inf
        both = np.concatenate([best, scores], axis=1)
        names = np.concatenate([which, np.broadcast_to(there, scores.shape)], axis=1)
        kept = np.argpartition(-both, self.depth - 1, axis=1)[:, : self.depth]
        best = np.take_along_axis(both, kept, 1)
        self._best[at + rows] = best
        self._which[at + rows] = np.where(np.isfinite(best), np.take_along_axis(names, kept, 1), NONE)


def nearest_documents(chunks: ChunkTable, keys: pl.Series, asked: Sequence[Asked]) -> list[Ranking]:
    """Rank the documents of each pool by cosine similarity, compared with every chunk.

    It holds a slice of the table and `depth` numbers a question, whatever the table holds. Beside
    `tasks.search.exact`, which names chunks: an evaluation asks plain, disturbed and dev questions of several pools and
    reads the table once for all of them, and a document with many near chunks takes one of the `depth` places.

    Args:
        chunks: A chunk table at one version.
        keys: Keys of the documents, in the order of their numbers.
        asked: Questions, each with its pool.

    Returns:
        One ranking for each of `asked`.
    """
    numbered = pl.DataFrame({"key": keys, "document": pl.Series(range(len(keys)), dtype=pl.Int32)})
    numbers = Shortlist(numbered, "key")
    for part in chunks.columns(["key", "vector"], rows=SLICE):
        # Inner: a chunk of a document that has no number is in no pool.
        rows = part.join(numbers.of(part["key"]), on="key", how="inner").sort("document")
        if rows.height:
            vectors, documents = np.nan_to_num(unit(rows["vector"].to_numpy())), rows["document"].to_numpy()
            for each in asked:
                each.offer(vectors, documents)
    return [each.ranking() for each in asked]
