"""How well rankings answer questions, by the definitions of trec_eval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["CUTOFFS", "METRICS", "Scores", "score"]

Scores: TypeAlias = npt.NDArray[np.float64]

CUTOFFS = (1, 5, 10, 100)
METRICS = ("ndcg@10", *(f"recall@{k}" for k in CUTOFFS), "mrr@10", "map")
_TOP = 10


def score(ranked: Sequence[Sequence[str]], relevant: Sequence[Mapping[str, int]]) -> dict[str, Scores]:
    """Judge one ranking a question.

    A document without a judgement, or with a grade of 0 or less, answers nothing; one without an answer scores 0.
    nDCG takes grades as gains and log2(1 + rank) as discount, its ideal from all that is relevant (Järvelin and
    Kekäläinen 2002); MAP divides by all that is relevant. These are `ndcg_cut`, `recall`, `recip_rank` and `map` of
    trec_eval.

    Args:
        ranked: n rankings: ids of documents, best first, none twice.
        relevant: n judgements: id of a document to its grade.

    Returns:
        Name in METRICS to float64 of shape (n,).

    Raises:
        ValueError: There are more rankings than judgements, or fewer.
    """
    rows = [_question(ids, grades) for ids, grades in zip(ranked, relevant, strict=True)]
    table = np.array(rows, dtype=np.float64).reshape(len(rows), len(METRICS))
    return {name: table[:, at].copy() for at, name in enumerate(METRICS)}


def _question(ids: Sequence[str], grades: Mapping[str, int]) -> list[float]:
    """The metrics of one question, in the order of METRICS."""
    ideal = np.array(sorted((grade for grade in grades.values() if grade > 0), reverse=True), dtype=np.float64)
    if not len(ideal):
        return [0.0] * len(METRICS)
    gains = np.array([max(grades.get(document, 0), 0) for document in ids], dtype=np.float64)
    places = np.flatnonzero(gains) + 1  # ranks of what answers, from 1
    ndcg = _gain(gains[:_TOP]) / _gain(ideal[:_TOP])
    recalls = [float((places <= k).sum()) / len(ideal) for k in CUTOFFS]
    first = 1 / float(places[0]) if len(places) and places[0] <= _TOP else 0.0
    precisions = np.arange(1, len(places) + 1) / places
    return [ndcg, *recalls, first, float(precisions.sum()) / len(ideal)]


def _gain(gains: npt.NDArray[np.float64]) -> float:
    return float((gains / np.log2(np.arange(2, len(gains) + 2))).sum())
