"""Rank documents as a release does: through its index, by words, and by both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import polars as pl

from models.metrics import Scores, score
from storage.tables.index import nearest
from tasks.learn.nearest import DIGITS, NONE, Ranking
from tasks.learn.subject import Catalogue, Subject

__all__ = ["DEPTH", "WEIGHTS", "Fused", "crossed", "fitted", "through_index", "through_words"]

DEPTH = 100  # documents a question
WEIGHTS = tuple(round(0.05 * step, 2) for step in range(21))
_MOST = 2_000  # chunks that are asked for, to find so many documents


def through_index(
    subject: Subject, catalogue: Catalogue, queries: npt.NDArray[np.float32], pool: npt.NDArray[np.bool_]
) -> Ranking:
    """The nearest documents by the index of a release, as its readers ask it.

    Args:
        subject: What is searched.
        catalogue: Its documents.
        queries: float32 of shape (n, dimension), of unit norm.
        pool: Whether each document may be found.
    """
    wanted = _chunks(subject, catalogue, pool)
    parts = []
    for number, query in enumerate(queries):
        table = nearest(subject.chunks, query, wanted, ["key"], subject.role.index)
        rows = pl.DataFrame(pl.from_arrow(table))
        similarity = (1 - pl.col("_distance")).round(DIGITS).alias("score")
        parts.append(rows.select(pl.lit(number, pl.UInt32).alias("query"), "key", similarity))
    found = (
        pl.concat(parts) if parts else pl.DataFrame(schema={"query": pl.UInt32, "key": pl.String, "score": pl.Float32})
    )
    return _ranking(_of_pool(found, catalogue, pool), len(queries))


def through_words(
    subject: Subject, catalogue: Catalogue, texts: Sequence[str], pool: npt.NDArray[np.bool_]
) -> Ranking | None:
    """The documents that the full-text index of a release finds; None where it has none."""
    if subject.words is None:
        return None
    found = subject.words(texts, _chunks(subject, catalogue, pool)).select("query", "key", "score")
    return _ranking(_of_pool(found, catalogue, pool), len(texts))


@dataclass(frozen=True)
class Fused:
    """What both sides found for some questions, each side scaled to 0 to 1 over its documents.

    Attributes:
        rows: query, document, dense and text; 0 where a side did not find a document.
        queries: Questions.
    """

    rows: pl.DataFrame
    queries: int

    @classmethod
    def of(cls, dense: Ranking, text: Ranking) -> Self:
        """Scale two rankings of the same questions (min-max, as Bruch, Gai and Ingber 2023)."""
        # Full: what one side alone found is ranked too, with nothing from the other.
        rows = _scaled(dense, "dense").join(_scaled(text, "text"), on=["query", "document"], how="full", coalesce=True)
        return cls(rows.with_columns(pl.col("dense", "text").fill_null(0.0)), len(dense.documents))

    def ranking(self, weight: float, depth: int = DEPTH) -> Ranking:
        """Rank by (1 - weight) x dense + weight x text."""
        fused = ((1 - weight) * pl.col("dense") + weight * pl.col("text")).round(DIGITS).alias("score")
        return _ranking(self.rows.select("query", "document", fused.cast(pl.Float32)), self.queries, depth)

    def scores(self, catalogue: Catalogue, relevant: Sequence[dict[str, int]]) -> npt.NDArray[np.float64]:
        """nDCG@10 of each question at each of WEIGHTS, of shape (weights, questions)."""
        rankings = (self.ranking(weight, 10).documents for weight in WEIGHTS)
        return np.array([score(catalogue.named(found), relevant)["ndcg@10"] for found in rankings])


def fitted(scores: Scores) -> float:
    """The weight of the best mean; of equal ones the smallest.

    Args:
        scores: Shape (weights, questions).
    """
    return WEIGHTS[int(np.argmax(scores.mean(axis=1).round(DIGITS)))] if scores.shape[1] else 0.0


def crossed(scores: Scores) -> tuple[npt.NDArray[np.float64], float]:
    """Two-fold cross-fitting: the weight of each half of the questions is that of the other half.

    Args:
        scores: Shape (weights, questions).

    Returns:
        The weight of each question, of shape (questions,), and the mean of both.
    """
    odd = np.arange(scores.shape[1]) % 2 == 1
    of_even, of_odd = fitted(scores[:, odd]), fitted(scores[:, ~odd])
    return np.where(odd, of_odd, of_even), (of_even + of_odd) / 2


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


def _ranking(rows: pl.DataFrame, queries: int, depth: int = DEPTH) -> Ranking:
    """The best documents of each question; of equal scores the one of the smaller number first."""
    best = rows.sort("query", "score", "document", descending=[False, True, False])
    best = best.with_columns(pl.int_range(pl.len()).over("query").alias("place")).filter(pl.col("place") < depth)
    documents = np.full((queries, depth), NONE, dtype=np.int32)
    scores = np.full((queries, depth), -np.inf, dtype=np.float32)
    at = best["query"].to_numpy(), best["place"].to_numpy()
    documents[at], scores[at] = best["document"].to_numpy(), best["score"].to_numpy()
    return Ranking(documents, scores)


def _scaled(ranking: Ranking, name: str) -> pl.DataFrame:
    least, most = pl.col("score").min().over("query"), pl.col("score").max().over("query")
    scaled = pl.when(most > least).then((pl.col("score") - least) / (most - least)).otherwise(1.0)
    return ranking.frame().select("query", "document", scaled.cast(pl.Float64).alias(name))
