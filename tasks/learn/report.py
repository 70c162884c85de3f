"""What a retraining tells: every challenger with its verdict, the bars of the gate, and the course of training."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import polars as pl

from storage.outcome import Outcome
from tasks.learn.challenge import Trial
from tasks.learn.cross import Crossed
from tasks.learn.lesson import Lesson
from tasks.learn.pair import Pairs
from tasks.learn.pool import Choice
from tasks.learn.rerank import Reranked
from tasks.learn.rerankers import Tried
from tasks.learn.synthesise import Synthesis
from tasks.learn.train import Challenger, Training

__all__ = ["ChallengerResult", "Report", "RetrainResult"]

PASSED, REFUSED, NOT_CHOSEN = "passed", "refused", "not chosen"


@dataclass(frozen=True)
class ChallengerResult:
    """What became of a challenger.

    Attributes:
        name: `tuned`, or `averaged` with the champion.
        space: Id of its vector space.
        verdict: `passed`, `refused` or `not chosen`.
        reasons: The bars that it missed, or why another one was chosen.
        metrics: nDCG@10 on the dev questions; of the chosen one also by test set, with the champion's beside it.
    """

    name: str
    space: str
    verdict: str
    reasons: tuple[str, ...]
    metrics: dict[str, Any]


@dataclass
class Report:
    """What is known of a retraining so far, so that one that ends early tells all of it.

    Attributes:
        written: What a model was asked to write, where one is configured.
        pairs: The pairs of the release.
        lesson: The examples that were learned from, with the negatives that were mined.
        training: Challengers, and how they were trained.
        choice: Which of them went on.
        trial: What the gate said of that one.
        reranked: Re-rankers that were tried on top of what readers see in the end.
        crossed: The cross-encoder that was trained, or why it was not.
        held: Pairs that are kept from training: nights may let those of their release go meanwhile.
    """

    written: Synthesis | None = None
    pairs: Pairs | None = None
    lesson: Lesson | None = None
    training: Training | None = None
    choice: Choice | None = None
    trial: Trial | None = None
    held: pl.DataFrame | None = None
    reranked: Reranked | None = None
    crossed: Crossed | None = None

    @property
    def rerankers(self) -> tuple[Tried, ...]:
        """Every re-ranker that was tried, and the cross-encoder that was refused before it was."""
        tried = () if self.reranked is None else self.reranked.rows
        return tried if self.crossed is None or self.crossed.refused is None else (*tried, self.crossed.refused)

    @property
    def data(self) -> dict[str, Any]:
        """What was learned from, as far as it came: `generated`, `pairs` and `lesson`, as JSON-able values."""
        found: dict[str, Any] = {}
        if self.written is not None:
            found["generated"] = self.written.counts
        if self.pairs is not None:
            kinds: dict[str, dict[str, int]] = {}
            for (kind, part), count in self.pairs.kinds.items():
                kinds.setdefault(kind, {})[part] = count
            found["pairs"] = {"version": self.pairs.version, "counts": dict(self.pairs.counts), "kinds": kinds}
        if self.lesson is not None:
            found["lesson"] = self.lesson.counts
        return found

    @property
    def chosen(self) -> Challenger:
        """The challenger that goes on to the gate."""
        if self.training is None or self.choice is None:
            raise RuntimeError("no challenger was chosen yet")
        return next(each for each in self.training.challengers if each.name == self.choice.name)

    @property
    def missed(self) -> tuple[str, ...]:
        """Why no challenger goes on to the gate; empty where one does."""
        return () if self.choice is None else self.choice.reasons

    def challengers(self) -> tuple[ChallengerResult, ...]:
        """Every challenger, the chosen one first."""
        if self.training is None or self.choice is None:
            return ()
        told = [self._told(each, self.choice) for each in self.training.challengers]
        return tuple(sorted(told, key=lambda each: each.verdict == NOT_CHOSEN))

    def to_dict(self) -> dict[str, Any]:
        """The gate, the course of training and what was learned from, as JSON-able values, as far as it came."""
        gate = {} if self.trial is None else self.trial.promotion.to_dict()
        trained = {} if self.training is None else self.training.trained.to_json()
        crossed = {} if self.crossed is None else {"cross": self.crossed.to_dict()}
        return {"gate": gate, "training": trained, "pairs": {}} | crossed | self.data

    def _told(self, each: Challenger, choice: Choice) -> ChallengerResult:
        dev = {name: choice.means[name] for name in (each.name, "champion") if name in choice.means}
        metrics: dict[str, Any] = {"dev": dev} if dev else {}
        if each.name != choice.name:
            why = f"{choice.name} was chosen by {choice.questions:,} dev questions"
            return ChallengerResult(each.name, each.encoder.space.id, NOT_CHOSEN, (why,), metrics)
        reasons = choice.reasons or (() if self.trial is None else self.trial.promotion.reasons)
        if self.trial is not None:
            metrics |= self.trial.metrics
        return ChallengerResult(each.name, each.encoder.space.id, REFUSED if reasons else PASSED, reasons, metrics)


@dataclass(frozen=True)
class RetrainResult:
    """How a retraining ended.

    Attributes:
        run: Its id.
        release: The release that readers see now.
        outcome: Published, refused or needs approval.
        base: The release that it started from.
        challengers: Every challenger, the chosen one first.
        seconds: Seconds a stage, and `total`.
        message: One line for people.
        report: Gate, training and pairs in full.
        rerankers: Every re-ranker that was tried, with its gain, its milliseconds and why it was kept out.
    """

    run: str
    release: int | None
    outcome: Outcome
    base: int | None
    challengers: tuple[ChallengerResult, ...]
    seconds: dict[str, float]
    message: str
    report: dict[str, Any] = field(default_factory=dict)
    rerankers: tuple[Tried, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON-able values."""
        told = asdict(self)
        report: dict[str, Any] = told.pop("report")
        return told | report
