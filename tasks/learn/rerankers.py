"""Try re-rankers: choose on dev questions, judge on test questions, and keep out what does not help."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from models.encoder import Encoder
from models.errors import ModelError
from models.rerank.base import Reranker, Scores, identify, open_reranker, token_encoder, write_settings
from models.rerank.fusion import Feature, features, fit
from models.rerank.late import LateInteraction
from models.statistics import Paired, paired
from storage.tables.roles import EncoderRecord, Role
from tasks.learn.config import QualityConfig
from tasks.learn.firststage import FirstStage
from tasks.progress import Progress, Silent

__all__ = ["Trial", "Tried", "best", "role_of", "too_slow", "try_rerankers"]

Verdict = Literal["promoted", "refused"]
LATE = "late interaction"
SKETCH = 60  # questions on which one that is too slow is tried all the same: about how much it would have helped
SKETCHING, LEAST = 20.0, 10  # seconds that this may take of either split, and questions below which it says nothing
HOPELESS = 20  # times the milliseconds that are allowed: not even that
DEV_SECONDS, TEST_SECONDS = 60.0, 240.0  # that one within what is allowed may take of either split
# Fusions by what they weigh: the first costs nothing that a hybrid search has not paid already.
FUSIONS: dict[str, tuple[Feature, ...]] = {
    "fusion of words": ("dense", "words"),
    "fusion": ("dense", "words", "late"),
}


@dataclass(frozen=True)
class Tried:
    """One re-ranker, judged: a row of the report.

    Attributes:
        kind: What was tried.
        dev: Gain of nDCG@10 on the dev questions, by which one is chosen.
        first: nDCG@10 of the first stage on the test questions.
        ndcg: nDCG@10 with it.
        gain: Their difference.
        low: Lower end of its interval.
        high: Upper end.
        detectable: The smallest gain that so many questions would have shown.
        questions: Test questions; 0 of one that was judged by nothing but its time.
        milliseconds: Of a query.
        verdict: Whether it helps.
        reason: The bar that it missed, or what it gains.
    """

    kind: str
    dev: float = 0.0
    first: float = 0.0
    ndcg: float = 0.0
    gain: float = 0.0
    low: float = 0.0
    high: float = 0.0
    detectable: float = 0.0
    questions: int = 0
    milliseconds: float = 0.0
    verdict: Verdict = "refused"
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The row as JSON-able values."""
        return asdict(self)


@dataclass(frozen=True)
class Trial:
    """A re-ranker that was tried.

    Attributes:
        row: What was found.
        folder: Its folder, that a store can keep; None where it could not be made.
        id: Id of the folder.
    """

    row: Tried
    folder: Path | None = None
    id: str = ""


def try_rerankers(
    dev: FirstStage,
    test: FirstStage,
    encoder: Encoder,
    folder: Path,
    quality: QualityConfig,
    crosses: Mapping[str, Path] | None = None,
    kinds: Collection[str] = ("late", "fusion"),
    progress: Progress | None = None,
) -> list[Trial]:
    """Try late interaction, fusions and cross-encoders.

    What the clock refuses is judged on a part of the questions: that it is too slow is certain, and what it would have
    gained is told.

    Args:
        dev: Questions that weights are fitted on, and that choose among those that help.
        test: Questions that judge.
        encoder: The encoder of the release.
        folder: An empty folder, for those that are made here.
        quality: The bars.
        crosses: Folders of cross-encoders, trained or adopted, by what they are called.
        kinds: `late` and `fusion`, or one of them.
        progress: Where it says how far it is.

    Returns:
        One trial a kind, the cross-encoders last.
    """
    trials, shown = [], progress or Silent()
    part, late = (dev, test), None
    if kinds:
        try:
            interaction = LateInteraction(token_encoder(encoder))
            took = test.milliseconds(interaction)
            part = _affordable(dev, test, quality, took)
            late = _scored(LATE, interaction, *part, shown)  # once: the fusion has it as a feature
        except ModelError as error:
            trials += [Trial(Tried(LATE, reason=str(error)))] if "late" in kinds else []
        else:
            made = folder / "late"
            identity = write_settings(made, "late", {})
            trials += [_trial(LATE, took, *part, late, quality, made, identity)] if "late" in kinds else []
    for kind, names in FUSIONS.items() if "fusion" in kinds else ():
        place = folder / kind.replace(" ", "-")
        if "late" in names:
            trials.append(_fused(kind, names, *part, late, encoder, place, quality))
        else:
            trials.append(_fused(kind, names, dev, test, None, encoder, place, quality))
    for kind, place in (crosses or {}).items():
        trials.append(_crossed(kind, place, dev, test, quality, shown))
    return trials


def best(trials: Sequence[Trial]) -> Trial | None:
    """The one to promote: of those that passed on the test questions, the best on the dev questions; None of none.

    The dev questions choose, so that the test questions judge what they did not choose.
    """
    passed = [trial for trial in trials if trial.row.verdict == "promoted"]
    return max(passed, key=lambda trial: (trial.row.dev, -trial.row.milliseconds), default=None)


def role_of(trial: Trial, space: str) -> Role:
    """Return the role under which a release serves a re-ranker; its folder is kept under `models/<id>` of the store.

    Args:
        trial: What was promoted.
        space: Space of the text encoder whose scores it was tried on: beside another it is not used.
    """
    named = EncoderRecord(id=trial.id, name=trial.row.kind, modality="reranker", normalise=False, parent=space)
    return Role(trial.id, named)


def _fused(
    kind: str,
    names: Sequence[Feature],
    dev: FirstStage,
    test: FirstStage,
    late: tuple[list[Scores], list[Scores]] | None,
    encoder: Encoder,
    folder: Path,
    quality: QualityConfig,
) -> Trial:
    """Fit a fusion on the dev questions and judge it."""
    if "words" in names and not any(c.words is not None for found in dev.candidates for c in found):
        return Trial(Tried(kind, reason="the release has no full-text index: there are no scores of words to weigh"))
    if "late" in names and late is None:
        return Trial(Tried(kind, reason="the encoder gives no vectors of tokens"))
    tables = [_tables(stage, names, late and late[number]) for number, stage in enumerate((dev, test))]
    relevant = [
        relevant.get(content, 0) > 0
        for found, relevant in zip(dev.contents, dev.relevant, strict=True)
        for content in found
    ]
    groups = np.repeat(np.arange(len(dev.questions)), [len(found) for found in dev.contents])
    try:
        tokens = token_encoder(encoder) if "late" in names else None
        fusion = fit(np.concatenate(tables[0]), np.array(relevant), groups, names, tokens)
    except ModelError as error:
        return Trial(Tried(kind, reason=str(error)))
    scores = [[fusion.score(each) for each in table] for table in tables]
    took = test.milliseconds(fusion)
    return _trial(kind, took, dev, test, (scores[0], scores[1]), quality, folder, fusion.save(folder))


def _crossed(
    kind: str, folder: Path, dev: FirstStage, test: FirstStage, quality: QualityConfig, progress: Progress
) -> Trial:
    try:
        reranker = open_reranker(folder)
        took = test.milliseconds(reranker)
        if took > quality.max_rerank_ms * HOPELESS:
            row = Tried(kind, milliseconds=took, reason=_slow(took, quality))
            return Trial(row, folder, identify(folder))
        dev, test = _affordable(dev, test, quality, took)
        scores = _scored(kind, reranker, dev, test, progress)
    except ModelError as error:
        return Trial(Tried(kind, reason=str(error)))
    return _trial(kind, took, dev, test, scores, quality, folder, identify(folder))


def _affordable(
    dev: FirstStage, test: FirstStage, quality: QualityConfig, took: float
) -> tuple[FirstStage, FirstStage]:
    """As many of the questions as there is time for: few for one that takes longer than it may."""
    each = max(took, 1e-3) / 1000
    if took > quality.max_rerank_ms:
        few = min(SKETCH, max(LEAST, int(SKETCHING / each)))
        return dev.some(few), test.some(few)
    return dev.some(max(SKETCH, int(DEV_SECONDS / each))), test.some(max(SKETCH, int(TEST_SECONDS / each)))


def _scored(
    kind: str, reranker: Reranker, dev: FirstStage, test: FirstStage, progress: Progress
) -> tuple[list[Scores], list[Scores]]:
    """What a re-ranker says of the candidates of both splits."""
    before, total = len(dev.questions), len(dev.questions) + len(test.questions)
    unit = f"questions, {kind}"
    return (
        dev.scored(reranker, lambda done: progress.advance(done, total, unit)),
        test.scored(reranker, lambda done: progress.advance(before + done, total, unit)),
    )


def _trial(
    kind: str,
    took: float,
    dev: FirstStage,
    test: FirstStage,
    scores: tuple[list[Scores], list[Scores]],
    quality: QualityConfig,
    folder: Path,
    identity: str,
) -> Trial:
    first, again = test.ndcg(), test.ndcg(scores[1])
    found = paired(first, again, quality.confidence)
    dev_gain = float((dev.ndcg(scores[0]) - dev.ndcg()).mean()) if dev.questions else 0.0
    row = Tried(
        kind=kind,
        dev=dev_gain,
        first=float(first.mean()),
        ndcg=float(again.mean()),
        gain=found.difference,
        low=found.low,
        high=found.high,
        detectable=found.detectable,
        questions=found.n,
        milliseconds=took,
    )
    missed = _missed(found, dev_gain, took, quality)
    gains = f"gains {found.difference:+.3f} [{found.low:.3f}, {found.high:.3f}] nDCG@10 in {took:.0f} ms a query"
    reason = f"{gains}; {missed}" if missed else gains
    return Trial(replace(row, verdict="refused" if missed else "promoted", reason=reason), folder, identity)


def _missed(found: Paired, dev: float, took: float, quality: QualityConfig) -> str:
    """The bars that a re-ranker missed; empty where it passed."""
    bars = []
    # The dev questions choose and the test questions judge: what the first speak against is not chosen by the second.
    # Nothing gained is no objection: a weight of words fitted on few of them may have answered them all already.
    if dev < 0:
        bars.append(f"on the dev questions it gains {dev:+.3f}, which must not be below 0")
    if not found.difference >= quality.min_gain:
        bars.append(f"quality.min_gain asks for {quality.min_gain:+.3f}")
    if not found.low > 0:
        bars.append(f"the interval is not above 0; so many questions would have shown {found.detectable:.3f}")
    if took > quality.max_rerank_ms:
        bars.append(_slow(took, quality))
    return "; ".join(bars)


def too_slow(kind: str, took: float, quality: QualityConfig) -> Tried:
    """The row of one whose network was timed before it is trained, and that can never be within the bar.

    Args:
        kind: What was to be made.
        took: Milliseconds of the quickest of some queries.
        quality: The bars.
    """
    reason = f"too slow, so it was not trained: {_slow(took, quality)}"
    return Tried(kind, milliseconds=took, reason=reason)


def _slow(took: float, quality: QualityConfig) -> str:
    return f"{took:.0f} ms a query, quality.max_rerank_ms allows {quality.max_rerank_ms:g}"


def _tables(stage: FirstStage, names: Sequence[Feature], late: list[Scores] | None) -> list[npt.NDArray[np.float64]]:
    each = late if late is not None else [None] * len(stage.candidates)
    return [features(found, names, scores) for found, scores in zip(stage.candidates, each, strict=True)]
