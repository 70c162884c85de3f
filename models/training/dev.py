"""Questions that training looks at now and then, to keep the best weights and to end early."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from models.space import digest

__all__ = ["DevQuestions", "exhausted", "ndcg", "peak"]

DEPTH = 10
Curve = Sequence[tuple[int, float]]


@dataclass(frozen=True)
class DevQuestions:
    """Questions with answers, none of which may be among the examples.

    Attributes:
        questions: Their texts.
        passages: The pool that is searched.
        relevant: For each question, the numbers of the passages that answer it.
    """

    questions: tuple[str, ...]
    passages: tuple[str, ...]
    relevant: tuple[tuple[int, ...], ...]

    @cached_property
    def digest(self) -> str:
        """Identity of the questions, the pool and the answers: 32 hex characters."""
        return digest([self.questions, self.passages, self.relevant])


def ndcg(
    questions: npt.NDArray[np.float32], passages: npt.NDArray[np.float32], relevant: Sequence[Sequence[int]]
) -> float:
    """Give the mean nDCG@10 of an exact search by cosine, for answers that all count the same.

    Args:
        questions: Unit vectors, shape (questions, dimension).
        passages: Unit vectors, shape (passages, dimension).
        relevant: Numbers of the passages that answer each question.
    """
    discounts = 1 / np.log2(np.arange(2, DEPTH + 2))
    scores = questions @ passages.T
    gains = []
    for row, wanted in zip(scores, relevant, strict=True):
        # A stable order: equal scores stand in the order of the pool, on every machine.
        found = np.argsort(-row, kind="stable")[:DEPTH]
        hits = np.isin(found, wanted)
        ideal = discounts[: min(len(wanted), DEPTH)].sum()
        gains.append(float(discounts[: len(found)][hits].sum() / ideal) if ideal else 0.0)
    return float(np.mean(gains))


def peak(curve: Curve) -> int | None:
    """Give the step of the best look after training began, the earliest of equal ones; None if there was none."""
    looks = [(step, value) for step, value in curve if step > 0]
    return max(looks, key=lambda look: (look[1], -look[0]))[0] if looks else None


def exhausted(curve: Curve, patience: int) -> bool:
    """Say whether so many looks went by since the best one."""
    best = peak(curve)
    return best is not None and sum(step > best for step, _ in curve) >= patience
