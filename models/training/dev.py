"""Questions that training looks at now and then, to keep the best weights and to end early."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from models.space import digest

__all__ = ["DevQuestions", "exhausted", "ndcg", "peak"]

DEPTH = 10
SPREAD = 0.225  # standard deviation of the difference of two encoders' nDCG@10 on one question, as it was measured
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

    @property
    def noise(self) -> float:
        """One standard error of the difference of two looks."""
        return SPREAD / math.sqrt(max(1, len(self.questions)))


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


def peak(curve: Curve, noise: float) -> int | None:
    """Give the step of the last look that is as good as the best one after training began; None if there was none.

    As good is what is not worse by more than one standard error, as in the choice of trees by Breiman et al. (1984). Of
    looks that nothing but noise tells apart the last one counts: the rate falls until the end, and what was learned
    settles. Of a training of 43 steps with ten looks at 300 questions, step 10 looked best by chance, and three looks
    within noise of it ended the training at 25; with fewer looks it went on, and step 43 looked as good.
    """
    looks = [(step, value) for step, value in curve if step > 0]
    best = max((value for _, value in looks), default=0.0)
    return max((step for step, value in looks if value >= best - noise), default=None)


def exhausted(curve: Curve, patience: int, noise: float) -> bool:
    """Say whether so many looks went by since the last that was as good as the best one."""
    best = peak(curve, noise)
    return best is not None and sum(step > best for step, _ in curve) >= patience
