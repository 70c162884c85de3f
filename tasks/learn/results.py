"""What an evaluation found: metrics of each mode with intervals, slices, and what the questions could have shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from models.metrics import METRICS, Scores
from models.statistics import DEVIATION, detectable, interval
from storage.outcome import Outcome

__all__ = ["EXACT", "MAIN", "WATCHED", "Evaluation", "Fitted", "ModeResult", "SetResult", "SliceResult", "mode_result"]

MAIN = "ndcg@10"
WATCHED = (MAIN, "recall@10", "mrr@10")  # metrics with an interval each night
EXACT = "exact"  # dense, compared with every chunk
_SHOWN = 6  # digits

# What chose the share of the words: the release's own, dev questions, or each half of the questions for the other.
Fitted = Literal["release", "dev", "two-fold"]


@dataclass(frozen=True)
class ModeResult:
    """How well one way of searching answers the questions of a set.

    Attributes:
        metrics: Each metric's mean.
        low: Lower end of the interval of nDCG@10.
        high: Its upper end.
        figures: nDCG@10 of each question, float64 of shape (questions,), for paired comparison.
        each: Metric to such figures, of those that nights watch; empty where only the means are known.
    """

    metrics: dict[str, float]
    low: float
    high: float
    figures: Scores = field(repr=False, compare=False)
    each: dict[str, Scores] = field(default_factory=dict, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Metrics and interval as JSON-able values."""
        means = {name: round(value, _SHOWN) for name, value in self.metrics.items()}
        return means | {"interval": [round(self.low, _SHOWN), round(self.high, _SHOWN)]}


@dataclass(frozen=True)
class SliceResult:
    """How well a part of the questions, or all of them disturbed, is answered.

    Attributes:
        by: What tells the part: source, language, length, or noise.
        value: Which part.
        ndcg: Mean nDCG@10.
        low: Lower end of its interval.
        high: Its upper end.
        rows: Which questions of the set, int64 of shape (questions,).
        figures: nDCG@10 of each of them.
    """

    by: str
    value: str
    ndcg: float
    low: float
    high: float
    rows: npt.NDArray[np.int64] = field(repr=False, compare=False)
    figures: Scores = field(repr=False, compare=False)

    @classmethod
    def of(cls, by: str, value: str, rows: npt.NDArray[np.int64], figures: Scores, confidence: float) -> SliceResult:
        """The slice of some questions, with the interval of its mean."""
        low, high = interval(figures, confidence, resamples=2_000)
        return cls(by, value, float(figures.mean()), low, high, rows, figures)

    def to_dict(self) -> dict[str, Any]:
        """The slice as JSON-able values."""
        found = {"by": self.by, "value": self.value, "questions": len(self.figures), MAIN: round(self.ndcg, _SHOWN)}
        return found | {"interval": [round(self.low, _SHOWN), round(self.high, _SHOWN)]}


@dataclass(frozen=True)
class SetResult:
    """What was found with one set of questions.

    Attributes:
        name: Of the set.
        split: Which of its questions.
        role: `target`, or `general` where it only bounds forgetting.
        asked: Ids of the questions, in the order of the figures.
        documents: Documents of the pool.
        weight: Share of the words in `hybrid`; None where that was not measured.
        modes: Mode to its result, in the order in which they are shown.
        exact: Dense, compared with every chunk: what the index costs is its difference to `dense`.
        slices: Parts of the questions, and the questions disturbed.
        sliced: The mode that the slices are of, and that readers get by themselves.
        fitted: What chose the weight: never the questions that it is judged by.
        missing: Documents that judgements name and the release does not hold; they count as misses.
        unanswerable: Questions that were left out because no judgement says what answers them.
        fingerprint: Identity of questions and judgements: figures of others cannot be paired with these.
    """

    name: str
    split: str
    role: str
    asked: tuple[str, ...]
    documents: int
    weight: float | None
    modes: dict[str, ModeResult]
    exact: ModeResult | None
    slices: tuple[SliceResult, ...] = ()
    sliced: str = "dense"
    fitted: Fitted | None = None
    missing: int = 0
    unanswerable: int = 0
    fingerprint: str = ""

    @property
    def questions(self) -> int:
        """Questions that were judged."""
        return len(self.asked)

    @property
    def detectable(self) -> float:
        """The difference of nDCG@10 to another encoder that so many questions show in four of five cases."""
        return detectable(DEVIATION, self.questions)

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON-able values."""
        modes = {name: found.to_dict() for name, found in self.modes.items()}
        if "dense" in modes and self.exact is not None:
            modes["dense"]["exact"] = self.exact.to_dict()
        return {
            "name": self.name,
            "split": self.split,
            "role": self.role,
            "questions": self.questions,
            "documents": self.documents,
            "weight": self.weight,
            "fitted": self.fitted,
            "modes": modes,
            "slices": [found.to_dict() for found in self.slices],
            "sliced": self.sliced,
            "detectable": round(self.detectable, _SHOWN),
            "missing": self.missing,
            "unanswerable": self.unanswerable,
        }


@dataclass(frozen=True)
class Evaluation:
    """What was found with all sets.

    Attributes:
        release: Number of the release; None for what is not published yet.
        sets: One result a set.
    """

    release: int | None
    sets: tuple[SetResult, ...]

    @property
    def outcome(self) -> Outcome:
        """Passed: an evaluation measures, and refuses nothing."""
        return Outcome.PASSED

    @property
    def message(self) -> str:
        """nDCG@10 of each set, by its best mode."""
        return "; ".join(_told(found) for found in self.sets)

    @property
    def counts(self) -> dict[str, int]:
        """Sets and questions, and what of the judgements found no place."""
        return {
            "sets": len(self.sets),
            "questions": sum(found.questions for found in self.sets),
            "missing": sum(found.missing for found in self.sets),
            "unanswerable": sum(found.unanswerable for found in self.sets),
        }

    def to_dict(self) -> dict[str, Any]:
        """The evaluation as JSON-able values."""
        return {"release": self.release, "sets": [found.to_dict() for found in self.sets]}


def mode_result(scores: dict[str, Scores], confidence: float = 0.95) -> ModeResult:
    """The means of per-question scores, with the interval of nDCG@10.

    Args:
        scores: Metric to one figure a question.
        confidence: Of the interval.
    """
    low, high = interval(scores[MAIN], confidence)
    means = {name: float(scores[name].mean()) for name in METRICS}
    return ModeResult(means, low, high, scores[MAIN], {name: scores[name] for name in WATCHED})


def _told(found: SetResult) -> str:
    best = max(found.modes, key=lambda name: found.modes[name].metrics[MAIN])
    figures = ", ".join(f"{name} {each.metrics[MAIN]:.3f}" for name, each in found.modes.items())
    lead = f"{found.name}: nDCG@10 {figures}"
    return f"{lead} [{found.modes[best].low:.3f}, {found.modes[best].high:.3f}]" if len(found.modes) == 1 else lead
