"""Hold what a night is about to publish to the quality that is asked of it, and to that of the release before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.encoder import EncoderFolder
from models.statistics import Paired, paired
from storage.outcome import Outcome
from storage.tables.evaluations import Evaluations
from storage.tables.roles import Role
from tasks.context import Context
from tasks.learn.config import EvaluationConfig, QualityConfig
from tasks.learn.evaluate import Measured, measure
from tasks.learn.judged import question_sets
from tasks.learn.record import rows
from tasks.learn.results import EXACT, MAIN, Evaluation, SetResult
from tasks.learn.subject import Subject
from tasks.stage import stage
from tasks.verdict import Verdict

__all__ = ["Floors", "check", "judge", "watched"]


@dataclass(frozen=True)
class Floors:
    """What was measured of a night's release, and what that means for it.

    Attributes:
        verdict: Passed, or refused with the floors that were missed.
        evaluation: What was measured: dense, compared with every chunk.
        compared: Set to its difference to the release before, for the sets that both were measured with.
    """

    verdict: Verdict
    evaluation: Evaluation
    compared: Mapping[str, Paired]

    @property
    def counts(self) -> dict[str, int]:
        """Sets, questions, and floors that were missed."""
        return {**self.evaluation.counts, "refused": len(self.verdict.reasons)}

    def to_dict(self) -> dict[str, Any]:
        """What the release keeps of it, as JSON-able values."""
        told = {}
        for found in self.evaluation.sets:
            metrics = {} if found.exact is None else found.exact.to_dict()
            change = self.compared.get(found.name)
            against = {} if change is None else {"change": change.difference, "between": [change.low, change.high]}
            told[found.name] = {"questions": found.questions, "detectable": found.detectable, **metrics, **against}
        return {"outcome": self.verdict.outcome, "reasons": list(self.verdict.reasons), "sets": told}


def watched(context: Context, sets: Sequence[EvaluationConfig], config: QualityConfig) -> bool:
    """Tell whether there is a floor to hold: target questions, and a least quality or a release that was measured."""
    if not any(each.role == "target" for each in sets):
        return False
    return config.min_ndcg is not None or bool(_before(context))


@stage
def check(
    context: Context,
    encoder: EncoderFolder,
    sets: Sequence[EvaluationConfig],
    base: Path,
    config: QualityConfig,
    tables: Mapping[str, int],
    role: Role,
) -> Floors:
    """Measure what is about to be published on the target questions, and record it, whatever becomes of it.

    Args:
        context: The run.
        encoder: The encoder of the role.
        sets: The configured sets.
        base: The folder that their paths start from.
        config: The floors.
        tables: Table name to the version that is about to be published.
        role: Its text role.

    Raises:
        InputError: A judged file is missing or malformed.
    """
    targets = question_sets([each for each in sets if each.role == "target"], base, "test")
    subject = Subject.drafted(context.store, tables, role)
    what = Measured(("dense",), index=False, parts=False, confidence=config.confidence)
    measured = measure(subject, encoder.open(), targets, what=what, progress=context.progress)
    found = judge(measured, _before(context), config)
    passed = found.verdict.outcome is Outcome.PASSED
    seq = (0 if context.base is None else context.base.seq) + 1
    release = seq if passed else None
    Evaluations(context.store).add(
        rows(measured, run=context.run, maker=context.run, space=role.space, now=context.now, release=release)
    )
    return found


def judge(measured: Evaluation, before: Mapping[str, Mapping[str, Any]], config: QualityConfig) -> Floors:
    """Say whether what was measured may be published.

    A drop refuses where even the better end of its interval is below the floor: one that the questions cannot tell from
    chance does not stop a night.

    Args:
        measured: What is about to be published.
        before: Set to what was measured of the release before: `fingerprint`, `asked` and `figures`.
        config: The floors.
    """
    compared = {found.name: pair for found in measured.sets if (pair := _compared(found, before, config)) is not None}
    reasons = tuple(reason for found in measured.sets for reason in _missed(found, compared.get(found.name), config))
    return Floors(Verdict(Outcome.REFUSED if reasons else Outcome.PASSED, reasons), measured, compared)


def _missed(found: SetResult, change: Paired | None, config: QualityConfig) -> Iterator[str]:
    if found.exact is None:
        return
    mean = found.exact.metrics[MAIN]
    if config.min_ndcg is not None and mean < config.min_ndcg:
        yield (
            f"{found.name}: nDCG@10 {mean:.3f} [{found.exact.low:.3f}, {found.exact.high:.3f}] over {found.questions} "
            f"questions is below quality.min_ndcg {config.min_ndcg}; `tidemark evaluate` shows where"
        )
    if change is not None and change.high < -config.max_drop:
        yield (
            f"{found.name}: nDCG@10 fell by {-change.difference:.3f} [{-change.high:.3f}, {-change.low:.3f}] against "
            f"the release before, over {change.n} questions; quality.max_drop allows {config.max_drop}: look at what "
            "changed with `tidemark plan`"
        )


def _compared(found: SetResult, before: Mapping[str, Mapping[str, Any]], config: QualityConfig) -> Paired | None:
    """Compare a set question by question; None where the release before was not measured with the same questions."""
    held = before.get(found.name)
    if held is None or found.exact is None or held["fingerprint"] != found.fingerprint:
        return None
    figures = dict(zip(held["asked"], held["figures"], strict=True))
    earlier = np.array([figures[question] for question in found.asked])
    return paired(earlier, found.exact.figures, config.confidence)


def _before(context: Context) -> dict[str, dict[str, Any]]:
    """What was measured of the release that the run starts from."""
    return {} if context.base is None else Evaluations(context.store).latest(context.base, EXACT)
