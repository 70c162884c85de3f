"""Fuse what vectors and what words find: a weighted sum of scores, whose weight judged questions choose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from models.metrics import METRICS, Scores, score
from models.statistics import paired
from storage.tables.roles import Fusion

__all__ = ["DEPTH", "WEIGHTS", "fit", "fuse", "judge", "two_fold"]

DEPTH = 100
WEIGHTS = tuple(round(0.05 * step, 2) for step in range(21))
METRIC = "ndcg@10"
_BATCH = 256  # questions whose rankings are named at once
DIGITS = 9  # of a fused score and of a mean: differences below are those of the order of sums

Level = Literal["key", "id"]
Relevant = Sequence[Mapping[str, int]]


def fuse(
    dense: pl.DataFrame, text: pl.DataFrame, weight: float, depth: int = DEPTH, *, level: Level = "key"
) -> pl.DataFrame:
    """Rank by (1 - weight) x dense + weight x text, each side's best `depth` scaled to 0 to 1 within a query.

    Min-max scaling and a convex combination (Bruch, Gai and Ingber, 2023). What a side did not find, or found below its
    best `depth`, has nothing from it; a side without weight adds no candidates. So a weight of 0 gives the order of
    `dense`, one of 1 that of `text`, and neither unit nor origin of a side's scores matters.

    Args:
        dense: Columns query, id, key and score: chunks that vectors found.
        text: The same: chunks that words found.
        weight: Share of the words, 0 to 1.
        depth: Candidates of each side that are scaled.
        level: `key` to rank documents, each by its best chunk; `id` to rank chunks.

    Returns:
        Columns query, key (and id, of chunks), score; best first within a query.
    """
    return _weighed(_sides(dense, text, depth, level), weight, level)


def fit(
    dense: pl.DataFrame,
    text: pl.DataFrame,
    relevant: Relevant,
    *,
    depth: int = DEPTH,
    fingerprint: str = "",
    serving: float | None = None,
) -> Fusion:
    """Choose the weight by the mean nDCG@10 of questions; of equally good ones the smallest, and 0 without questions.

    The weight that serves stays where another is not surely better (paired bootstrap): a hundred questions about one
    source tell neighbouring weights apart by luck alone, while all other sources pay for the move.

    Args:
        dense: Columns query, id, key and score: chunks that vectors found.
        text: The same: chunks that words found.
        relevant: Of each question the documents that answer, by key, and their grades.
        depth: Candidates of each side that are scaled.
        fingerprint: Identity of the questions and of what was asked.
        serving: The weight of the release before; None where there is none.
    """
    scores = _grid(_sides(dense, text, depth, "key"), relevant)
    means = _means(scores)
    best = int(np.argmax(means))  # the first of equal ones
    if serving in WEIGHTS and len(relevant):
        kept = WEIGHTS.index(serving)
        best = best if paired(scores[kept], scores[best]).low > 0 else kept
    return Fusion(
        weight=WEIGHTS[best],
        depth=depth,
        questions=len(relevant),
        dense=float(means[0]),
        text=float(means[-1]),
        hybrid=float(means[best]),
        fingerprint=fingerprint,
    )


def two_fold(
    dense: pl.DataFrame, text: pl.DataFrame, relevant: Relevant, *, depth: int = DEPTH
) -> tuple[Scores, tuple[float, float]]:
    """Score questions with a weight that the other half of them chose: nothing is judged by what it was fitted on.

    Args:
        dense: Columns query, id, key and score: chunks that vectors found.
        text: The same: chunks that words found.
        relevant: Of each question the documents that answer, by key, and their grades.
        depth: Candidates of each side that are scaled.

    Returns:
        nDCG@10 of shape (questions,), and the weights of the even and of the odd questions.
    """
    scores = _grid(_sides(dense, text, depth, "key"), relevant)
    odd = np.arange(len(relevant)) % 2 == 1
    of_even, of_odd = int(np.argmax(_means(scores[:, odd]))), int(np.argmax(_means(scores[:, ~odd])))
    chosen = np.where(odd, of_odd, of_even)
    return scores[chosen, np.arange(len(relevant))], (WEIGHTS[of_even], WEIGHTS[of_odd])


def judge(ranked: pl.DataFrame, relevant: Relevant, depth: int = DEPTH) -> dict[str, Scores]:
    """Score what `fuse` ranked, some questions at a time: names are what takes memory.

    Args:
        ranked: Columns query and key, best first within a query.
        relevant: Of each question the documents that answer, by key, and their grades.
        depth: Places that count.

    Returns:
        Metric to one figure a question.
    """
    every = pl.DataFrame({"query": np.arange(len(relevant), dtype=np.uint32)})
    best = ranked.select("query", "key").filter(pl.int_range(pl.len()).over("query") < depth)
    parts = []
    for at in range(0, max(1, len(relevant)), _BATCH):
        here = every.slice(at, _BATCH)
        named = best.filter(pl.col("query").is_between(at, at + _BATCH - 1)).group_by("query").agg("key")
        # Left from all questions: one that neither side answers has an empty ranking, and scores 0.
        rankings = here.join(named, on="query", how="left", maintain_order="left")["key"].to_list()
        parts.append(score([ranking or [] for ranking in rankings], relevant[at : at + _BATCH]))
    return {name: np.concatenate([part[name] for part in parts]) for name in METRICS}


def _grid(sides: pl.DataFrame, relevant: Relevant) -> Scores:
    """nDCG@10 of each question at each of WEIGHTS, of shape (weights, questions)."""
    return np.array([judge(_weighed(sides, weight, "key"), relevant, 10)[METRIC] for weight in WEIGHTS])


def _means(scores: Scores) -> npt.NDArray[np.float64]:
    if not scores.shape[1]:
        return np.zeros(len(scores))
    return np.asarray(scores.mean(axis=1).round(DIGITS), dtype=np.float64)


def _sides(dense: pl.DataFrame, text: pl.DataFrame, depth: int, level: Level) -> pl.DataFrame:
    """What either side found, with both scaled scores and both places; null where a side did not find it."""
    left, right = _scaled(dense, "dense", depth, level), _scaled(text, "text", depth, level)
    # Full: what one side alone found is a candidate too.
    return left.join(right, on=_names(level), how="full", coalesce=True)


def _names(level: Level) -> list[str]:
    return ["query", "key"] if level == "key" else ["query", "id", "key"]


def _scaled(found: pl.DataFrame, side: str, depth: int, level: Level) -> pl.DataFrame:
    """The place of each candidate in its query, best first, and its score between the best and the last of `depth`."""
    names = _names(level)
    best = found.group_by(names, maintain_order=True).agg(pl.col("score").max().cast(pl.Float64))
    best = best.sort("query", "score", level, descending=[False, True, False])
    best = best.with_columns(pl.int_range(pl.len()).over("query").alias(f"{side}_place"))
    most, least = pl.col("score").max().over("query"), pl.col("score").head(depth).min().over("query")
    # Where all are equally good, all are the best.
    scaled = pl.when(most > least).then((pl.col("score") - least) / (most - least)).otherwise(1.0).clip(0.0, 1.0)
    return best.select(*names, f"{side}_place", scaled.alias(side))


def _weighed(sides: pl.DataFrame, weight: float, level: Level) -> pl.DataFrame:
    heavy, light = ("text", "dense") if weight > 0.5 else ("dense", "text")
    kept = sides if 0 < weight < 1 else sides.filter(pl.col(heavy).is_not_null())
    fused = (1 - weight) * pl.col("dense").fill_null(0.0) + weight * pl.col("text").fill_null(0.0)
    # Equal scores keep the order of the side that weighs more: below its best `depth` they are all equal.
    order = ["query", "score", f"{heavy}_place", f"{light}_place", level]
    ranked = kept.with_columns(fused.round(DIGITS).alias("score")).sort(
        order, descending=[False, True, False, False, False], nulls_last=True
    )
    return ranked.select(*_names(level), "score")
