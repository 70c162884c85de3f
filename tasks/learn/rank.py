"""Rank documents as a release finds them: through its index, and by words."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import polars as pl

from storage.tables.index import nearest
from tasks.learn.nearest import DIGITS, NONE, Ranking
from tasks.learn.subject import Catalogue, Subject
from tasks.progress import Progress, Silent
from tasks.search.fuse import DEPTH

__all__ = ["DEPTH", "through_index", "through_words"]

_MOST = 2_000  # chunks that are asked for, to find so many documents
_READ = 10  # hits that a reader asks for
_BATCH = 256  # questions whose chunks are held at once


def through_index(
    subject: Subject,
    catalogue: Catalogue,
    queries: npt.NDArray[np.float32],
    pool: npt.NDArray[np.bool_],
    progress: Progress | None = None,
    source: str | None = None,
) -> Ranking:
    """The nearest documents by the index of a release, as its readers ask it.

    Args:
        subject: What is searched.
        catalogue: Its documents.
        queries: float32 of shape (n, dimension), of unit norm.
        pool: Whether each document may be found.
        progress: Where it says how far it is.
        source: The source that the pool is, where it is one: it is searched alone, as readers do who ask for it. Else
            chunks that are not of the pool are found too, so many more are asked for.
    """
    if pool.all():  # then a filter would only take time
        source = None
    wanted = _chunks(subject, catalogue, pool if source is None else np.ones_like(pool))

    facts = subject.role.index
    # A reader's few hits are chosen among `refine_factor` times as many whole vectors. So many times a deep ranking
    # would look at far more of them than any reader does: it would be slower, and the figure too good.
    index = replace(facts, refine_factor=max(2, math.ceil(_READ * facts.refine_factor / wanted)))

    def asked(at: int, end: int) -> pl.DataFrame:
        parts = []
        for number, query in enumerate(queries[at:end]):
            table = nearest(subject.chunks, query, wanted, ["key"], index, source)
            rows = pl.DataFrame(pl.from_arrow(table))
            similarity = (1 - pl.col("_distance")).round(DIGITS).alias("score")
            parts.append(rows.select(pl.lit(number, pl.UInt32).alias("query"), "key", similarity))
        return pl.concat(parts)

    return _batched(len(queries), asked, catalogue, pool, _told(progress, len(queries), "index"))


def through_words(
    subject: Subject,
    catalogue: Catalogue,
    texts: Sequence[str],
    pool: npt.NDArray[np.bool_],
    progress: Progress | None = None,
) -> Ranking:
    """The documents that the full-text index of a release finds; the arguments are those of `through_index`."""
    wanted = _chunks(subject, catalogue, pool)
    told = _told(progress, len(texts), "words")
    return _batched(len(texts), lambda at, end: subject.words(texts[at:end], wanted), catalogue, pool, told)


def _told(progress: Progress | None, questions: int, side: str) -> Callable[[int], None]:
    """Say after how many questions a side stands."""
    shown = progress or Silent()
    return lambda done: shown.advance(done, questions, f"questions by {side}")


def _batched(
    questions: int,
    asked: Callable[[int, int], pl.DataFrame],
    catalogue: Catalogue,
    pool: npt.NDArray[np.bool_],
    told: Callable[[int], None],
) -> Ranking:
    """Rank the documents of some questions at a time: names of chunks are what takes memory.

    Args:
        questions: How many.
        asked: Gives the chunks of the questions from one number up to another: query from 0, key and score.
        catalogue: The documents.
        pool: Whether each may be found.
        told: Called with the number of questions that are done.
    """
    parts = [_ranking(pl.DataFrame(schema={"query": pl.UInt32, "document": pl.Int32, "score": pl.Float32}), 0)]
    for at in range(0, questions, _BATCH):
        end = min(at + _BATCH, questions)
        parts.append(_ranking(_of_pool(asked(at, end), catalogue, pool), end - at))
        told(end)
    return Ranking(np.concatenate([part.documents for part in parts]), np.concatenate([part.scores for part in parts]))


def _chunks(subject: Subject, catalogue: Catalogue, pool: npt.NDArray[np.bool_]) -> int:
    """Chunks to ask for: twice as many as DEPTH documents have, and more where the pool is a part of the documents."""
    rows, documents = subject.chunks.rows, max(1, len(catalogue.keys))
    share = max(float(pool.mean()), 1e-3) if len(pool) else 1.0
    return min(max(rows, 1), max(DEPTH, min(_MOST, round(2 * DEPTH * rows / documents / share))))


def _of_pool(found: pl.DataFrame, catalogue: Catalogue, pool: npt.NDArray[np.bool_]) -> pl.DataFrame:
    """Chunks as documents of the pool, each with its best chunk's score: query, document, score."""
    numbers = pl.DataFrame({"key": catalogue.keys, "document": np.arange(len(pool), dtype=np.int32), "fits": pool})
    # Inner: a chunk of a document outside of the pool is not found.
    rows = found.join(numbers.filter("fits"), on="key", how="inner")
    return rows.group_by("query", "document").agg(pl.col("score").max().cast(pl.Float32))


def _ranking(rows: pl.DataFrame, queries: int) -> Ranking:
    """The best documents of each question; of equal scores the one of the smaller number first."""
    best = rows.sort("query", "score", "document", descending=[False, True, False])
    best = best.with_columns(pl.int_range(pl.len()).over("query").alias("place")).filter(pl.col("place") < DEPTH)
    documents = np.full((queries, DEPTH), NONE, dtype=np.int32)
    scores = np.full((queries, DEPTH), -np.inf, dtype=np.float32)
    at = best["query"].to_numpy(), best["place"].to_numpy()
    documents[at], scores[at] = best["document"].to_numpy(), best["score"].to_numpy()
    return Ranking(documents, scores)
