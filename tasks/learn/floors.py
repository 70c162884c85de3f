"""Hold what a night is about to publish to the quality that is asked of it, and to that of the release before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from models.encoder import EncoderFolder
from models.statistics import Paired, paired
from storage.outcome import Outcome
from storage.tables.evaluations import Evaluations
from storage.tables.line import line_of
from storage.tables.releases import Releases
from storage.tables.roles import Role
from tasks.context import Context
from tasks.learn.config import EvaluationConfig, QualityConfig
from tasks.learn.evaluate import Measured, measure
from tasks.learn.judged import OWN, question_sets
from tasks.learn.record import rows
from tasks.learn.results import EXACT, MAIN, Evaluation, SetResult
from tasks.learn.subject import Subject
from tasks.stage import stage
from tasks.verdict import Verdict

__all__ = ["Floors", "Since", "check", "judge", "since_promoted", "watched"]

FEWEST = 10  # questions that two nights must share


@dataclass(frozen=True)
class Since:
    """What was lost or won since the encoder was promoted, night by night or at once.

    Attributes:
        release: The release that is compared with: the first of the encoder, or the first measured with the questions.
        paired: The difference, question by question.
    """

    release: int
    paired: Paired


@dataclass(frozen=True)
class Floors:
    """What was measured of a night's release, and what that means for it.

    Attributes:
        verdict: Passed, or refused with the floors that were missed.
        evaluation: What was measured: dense, compared with every chunk.
        compared: Set to its difference to the release before, for the sets that both were measured with.
        since: Set to its difference to the release that was last promoted.
    """

    verdict: Verdict
    evaluation: Evaluation
    compared: Mapping[str, Paired]
    since: Mapping[str, Since] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        """Sets, questions, and floors that were missed."""
        return {**self.evaluation.counts, "refused": len(self.verdict.reasons)}

    def to_dict(self) -> dict[str, Any]:
        """What the release keeps of it, as JSON-able values."""
        told = {}
        against: dict[str, Any]
        for found in self.evaluation.sets:
            metrics = {} if found.exact is None else found.exact.to_dict()
            change = self.compared.get(found.name)
            against = {} if change is None else {"change": change.difference, "between": [change.low, change.high]}
            origin = self.since.get(found.name)
            if origin is not None:
                against["since"] = {"release": origin.release, "change": origin.paired.difference}
                against["since"]["between"] = [origin.paired.low, origin.paired.high]
            told[found.name] = {"questions": found.questions, "detectable": found.detectable, **metrics, **against}
        return {"outcome": self.verdict.outcome, "reasons": list(self.verdict.reasons), "sets": told}


def watched(context: Context, sets: Sequence[EvaluationConfig], config: QualityConfig, *, always: bool = False) -> bool:
    """Tell whether a night is measured: it has target questions, and a floor to hold or somebody who looks.

    Args:
        context: The run.
        sets: The configured sets.
        config: The floors: a least quality, or what may be lost against a release that was measured.
        always: Somebody wants to know of each release how good it is.
    """
    if not any(each.role == "target" for each in sets):
        return False
    return always or config.min_ndcg is not None or bool(_before(context))


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
    what = Measured(("dense",), index=False, parts=False, confidence=config.confidence, emptied=True)
    measured = measure(subject, encoder.open(), targets, what=what, progress=context.progress)
    found = judge(measured, _before(context), config, since_promoted(context, measured, config))
    passed = found.verdict.outcome is Outcome.PASSED
    seq = (0 if context.base is None else context.base.seq) + 1
    release = seq if passed else None
    Evaluations(context.store).add(
        rows(measured, run=context.run, maker=context.run, space=role.space, now=context.now, release=release)
    )
    return found


def judge(
    measured: Evaluation,
    before: Mapping[str, Mapping[str, Any]],
    config: QualityConfig,
    since: Mapping[str, Since] | None = None,
) -> Floors:
    """Say whether what was measured may be published.

    A drop refuses where even the better end of its interval is below the floor: one that the questions cannot tell from
    chance does not stop a night.

    Args:
        measured: What is about to be published.
        before: Set to what was measured of the release before: `fingerprint`, `asked` and `figures`.
        config: The floors.
        since: Set to its difference to the release that was last promoted.
    """
    since = since or {}
    compared = {found.name: pair for found in measured.sets if (pair := _compared(found, before, config)) is not None}
    reasons = tuple(
        reason
        for found in measured.sets
        for reason in _missed(found, compared.get(found.name), since.get(found.name), config)
    )
    return Floors(Verdict(Outcome.REFUSED if reasons else Outcome.PASSED, reasons), measured, compared, since)


def since_promoted(context: Context, measured: Evaluation, config: QualityConfig) -> dict[str, Since]:
    """Compare with the release that brought the encoder: what many nights lose is seen, however little each does.

    Where that one was not measured with these questions, the first after it is compared with that was.

    Args:
        context: The run.
        measured: What is about to be published.
        config: How sure an interval is.
    """
    if context.base is None:
        return {}
    line = line_of(Releases(context.store), context.base)
    held = Evaluations(context.store).first([release.run for release in line], EXACT)
    number = {release.run: release.seq for release in line}
    found = {}
    for each in measured.sets:
        # Documents' own queries change with the documents: any of them can be paired that are the same texts.
        row = held.get((each.name, None if each.name == OWN else each.fingerprint))
        pair = None if row is None else _paired(each, row, config)
        if row is not None and pair is not None:
            found[each.name] = Since(number[row["maker"]], pair)
    return found


def _missed(found: SetResult, change: Paired | None, since: Since | None, config: QualityConfig) -> Iterator[str]:
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
    if config.max_decay is not None and since is not None and since.paired.high < -config.max_decay:
        pair = since.paired
        yield (
            f"{found.name}: nDCG@10 fell by {-pair.difference:.3f} [{-pair.high:.3f}, {-pair.low:.3f}] since release "
            f"{since.release}, over {pair.n} questions; quality.max_decay allows {config.max_decay}: `tidemark diff "
            f"{since.release} ...` names what changed, `tidemark retrain` may win it back"
        )


def _compared(found: SetResult, before: Mapping[str, Mapping[str, Any]], config: QualityConfig) -> Paired | None:
    """Compare a set question by question; None where the release before was not measured with the same questions."""
    held = before.get(found.name)
    if held is None or found.exact is None or held["fingerprint"] != found.fingerprint:
        return None
    return _paired(found, held, config)


def _paired(found: SetResult, held: Mapping[str, Any], config: QualityConfig) -> Paired | None:
    """Pair the questions that both were asked; of one set all, of documents' own queries those that are still there."""
    if found.exact is None:
        return None
    figures = dict(zip(held["asked"], held["figures"], strict=True))
    shared = [at for at, question in enumerate(found.asked) if question in figures]
    if len(shared) < len(found.asked) and len(shared) < FEWEST:
        return None
    earlier = np.array([figures[found.asked[at]] for at in shared])
    return paired(earlier, found.exact.figures[shared], config.confidence)


def _before(context: Context) -> dict[str, dict[str, Any]]:
    """What was measured of the release that the run starts from."""
    return {} if context.base is None else Evaluations(context.store).latest(context.base, EXACT)
