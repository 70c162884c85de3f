"""Hold a release of shorter vectors against the one that it would take the place of: what is lost, and what is won."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from models.encoder import Encoder
from models.statistics import Paired, paired
from storage.outcome import Outcome
from storage.tables.index import BYTES, nearest
from tasks.learn.config import QualityConfig
from tasks.learn.evaluate import Measured, measure
from tasks.learn.questions import QuestionSet
from tasks.learn.subject import Subject
from tasks.progress import Progress
from tasks.stage import stage
from tasks.verdict import Verdict

__all__ = ["Shorter", "judge_shorter"]

TIMED = 25  # questions whose search is timed: the median of so many is steady


@dataclass(frozen=True)
class Shorter:
    """Shorter vectors, judged.

    Attributes:
        change: Of nDCG@10, question by question.
        before: Its mean with the vectors that readers have.
        after: Its mean with the shorter ones.
        bytes: Of a vector, before and after.
        milliseconds: Of a search through the index, the question encoded already, before and after.
        allowed: `quality.max_compression_loss`.
    """

    change: Paired
    before: float
    after: float
    bytes: tuple[int, int]
    milliseconds: tuple[float, float]
    allowed: float

    @property
    def holds(self) -> bool:
        """Whether they surely lose no more than is allowed."""
        return self.change.low >= -self.allowed

    @property
    def message(self) -> str:
        """The figures in one line."""
        found, (was, now), (slow, fast) = self.change, self.bytes, self.milliseconds
        told = (
            f"{now:,} instead of {was:,} bytes a vector and {fast:.1f} instead of {slow:.1f} ms a search: nDCG@10 "
            f"{self.after:.3f} instead of {self.before:.3f}, {found.difference:+.4f} [{found.low:+.4f}, "
            f"{found.high:+.4f}] over {found.n:,} questions"
        )
        if self.holds:
            return told
        return f"{told}; quality.max_compression_loss allows {self.allowed:g}, and they may lose more"

    @property
    def verdict(self) -> Verdict:
        """Passed, or refused with the figures."""
        return Verdict(Outcome.PASSED) if self.holds else Verdict(Outcome.REFUSED, (self.message,))

    @property
    def counts(self) -> dict[str, int]:
        """Questions that were asked."""
        return {"questions": self.change.n}

    def to_dict(self) -> dict[str, Any]:
        """What a release and a model card keep of it, as JSON-able values."""
        found = self.change
        return {
            "ndcg@10": self.after,
            "change": found.difference,
            "between": [found.low, found.high],
            "questions": found.n,
            "bytes": list(self.bytes),
            "milliseconds": list(self.milliseconds),
        }


@stage
def judge_shorter(
    sides: tuple[tuple[Subject, Encoder], tuple[Subject, Encoder]],
    sets: Sequence[QuestionSet],
    config: QualityConfig,
    progress: Progress,
) -> Shorter:
    """Measure both exactly on the same questions, and time a search of each as readers search.

    Args:
        sides: What readers have, and what would take its place: tables and encoder.
        sets: Judged test questions of target sets.
        config: The bar.
        progress: Where it says how far it is.
    """
    what = Measured(("dense",), index=False, parts=False, confidence=config.confidence)
    measured = [measure(subject, encoder, sets, what=what, progress=progress) for subject, encoder in sides]
    before, after = (np.concatenate([each.modes["dense"].figures for each in found.sets]) for found in measured)
    asked = [text for each in sets for text in each.questions["text"]][:TIMED]
    slow, fast = (_milliseconds(subject, encoder, asked) for subject, encoder in sides)
    was, now = (BYTES[subject.chunks.precision] * encoder.space.dimension for subject, encoder in sides)
    return Shorter(
        change=paired(before, after, config.confidence),
        before=float(before.mean()),
        after=float(after.mean()),
        bytes=(was, now),
        milliseconds=(slow, fast),
        allowed=config.max_compression_loss,
    )


def _milliseconds(subject: Subject, encoder: Encoder, asked: Sequence[str]) -> float:
    """Median time of a search, once one was done to warm up."""
    index = subject.role.index if subject.role.index.approximate else None
    times = []
    for query in encoder.encode_queries([*asked[:1], *asked]):
        started = perf_counter()
        nearest(subject.chunks, query, 10, ["id"], index)
        times.append(1000 * (perf_counter() - started))
    return round(median(times[1:]), 3)
