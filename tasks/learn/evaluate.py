"""Measure how well a release answers judged questions: by vectors, by words, by both, and where it does worse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import polars as pl

from models.encoder import Encoder
from models.metrics import METRICS, Scores, score
from storage.errors import InputError
from tasks.learn.nearest import Asked, Ranking, nearest_documents
from tasks.learn.noise import NOISE, noisy
from tasks.learn.questions import QuestionSet
from tasks.learn.rank import DEPTH, through_index, through_words
from tasks.learn.results import MAIN, Evaluation, Fitted, ModeResult, SetResult, SliceResult, mode_result
from tasks.learn.slices import slices
from tasks.learn.subject import Catalogue, Judged, Subject
from tasks.progress import Progress, Silent
from tasks.search.fuse import fit, fuse, judge, two_fold
from tasks.stage import stage

__all__ = ["MODES", "Measured", "Mode", "evaluate", "measure"]

Mode = Literal["dense", "text", "hybrid"]
MODES: tuple[Mode, ...] = get_args(Mode)

_BATCH = 256  # questions encoded, and rankings named, at once


@dataclass(frozen=True)
class Measured:
    """What is measured.

    Attributes:
        modes: Ways to search.
        index: Also through the index, as readers search; else dense is compared with every chunk.
        parts: Also slices, and the questions disturbed.
        confidence: Of the intervals.
        emptied: Whether a set whose source holds no document any more finds nothing, which a night may publish or not;
            else it is a mistake of who asks.
    """

    modes: tuple[Mode, ...] = MODES
    index: bool = True
    parts: bool = True
    confidence: float = 0.95
    emptied: bool = False


def measure(
    subject: Subject,
    encoder: Encoder,
    sets: Sequence[QuestionSet],
    *,
    dev: Mapping[str, QuestionSet] | None = None,
    what: Measured | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Measure a release, or what is about to become one.

    All questions are compared with all chunks in one pass over the table. Documents are told apart by content, so one
    that is repeated under another id is no miss, and judged documents that are not there are misses. Both sides are
    fused with the weight that the release searches with; where it has none, with one that other questions chose.

    Args:
        subject: What is measured.
        encoder: Of its space.
        sets: The questions that judge.
        dev: Set to the questions that choose the weight of the words where the release has none; without, one half of
            the judging questions chooses it for the other.
        what: What is measured; everything if None.
        progress: Where it says how far it is.

    Raises:
        InputError: The encoder is of another space, a set holds no question that can be judged, or the release cannot
            be searched in the way that alone is wanted.
    """
    if encoder.space.id != subject.role.space:
        raise InputError(f"an encoder of space {encoder.space.id} cannot ask vectors of space {subject.role.space}")
    if what is not None and "dense" not in what.modes and not subject.worded:
        raise InputError("the release has no full-text index to find by words: measure it with `--mode dense`")
    what, asking = what or Measured(), _Asking(encoder, progress or Silent())
    catalogue = Catalogue(subject.documents)
    prepared = [_prepared(each, (dev or {}).get(each.name), subject, catalogue, asking, what) for each in sets]
    nearest_documents(subject.chunks, catalogue.keys, [asked for each in prepared for asked in each.all])
    return Evaluation(
        subject.release, tuple(_measured(each, subject, catalogue, what, asking.progress) for each in prepared)
    )


# Measuring is a step of other stages too; where it is one by itself, the dashboard shows it under this name.
evaluate = stage(measure, "evaluate")


@dataclass
class _Asking:
    """Encodes questions, and says how many."""

    encoder: Encoder
    progress: Progress
    done: int = 0

    def vectors(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        parts = [np.empty((0, self.encoder.space.dimension), dtype=np.float32)]
        for at in range(0, len(texts), _BATCH):
            parts.append(self.encoder.encode_queries(texts[at : at + _BATCH]))
            self.done += len(parts[-1])
            self.progress.advance(self.done, None, "questions")
        return np.concatenate(parts)


@dataclass(frozen=True)
class _Prepared:
    """A set whose questions are encoded."""

    asked: QuestionSet
    judged: Judged
    pool: npt.NDArray[np.bool_]
    plain: Asked
    noise: dict[str, Asked] = field(default_factory=dict)
    dev: tuple[Judged, Asked] | None = None

    @property
    def all(self) -> list[Asked]:
        return [self.plain, *self.noise.values(), *([self.dev[1]] if self.dev else [])]

    def texts(self, judged: Judged) -> list[str]:
        return judged.questions["text"].to_list()


def _prepared(
    each: QuestionSet,
    dev: QuestionSet | None,
    subject: Subject,
    catalogue: Catalogue,
    asking: _Asking,
    what: Measured,
) -> _Prepared:
    judged, pool = catalogue.judged(each), catalogue.pool(each.source)
    if not len(judged.relevant):
        raise InputError(f"the questions {each.name!r} have no answer: give one a grade of 1 or more")
    if not pool.any() and not what.emptied:
        where = "" if each.source is None else f" of source {each.source!r}"
        raise InputError(f"the questions {each.name!r} cannot be asked: the release holds no document{where}")
    texts = judged.questions["text"].to_list()

    def asked(texts: Sequence[str]) -> Asked:
        return Asked(asking.vectors(texts), DEPTH, pool)

    fitting = None
    if dev is not None and "hybrid" in what.modes and subject.worded and subject.role.fusion is None:
        known = catalogue.judged(dev)
        fitting = (known, asked(known.questions["text"].to_list()))
    noise = {kind: asked(noisy(texts, kind)) for kind in NOISE} if what.parts else {}
    return _Prepared(each, judged, pool, asked(texts), noise, fitting)


def _measured(each: _Prepared, subject: Subject, catalogue: Catalogue, what: Measured, progress: Progress) -> SetResult:
    exact = each.plain.ranking()
    by_exact = mode_result(_scores(catalogue, exact, each.judged), what.confidence)
    modes, weighed = _modes(each, exact, by_exact, subject, catalogue, what, progress)
    sliced: Mode = "hybrid" if subject.role.hybrid and "hybrid" in modes else "dense"
    figures = modes[sliced].figures if sliced in modes else by_exact.figures
    return SetResult(
        name=each.asked.name,
        split=each.asked.split,
        role=each.asked.role,
        asked=tuple(each.judged.questions["question"]),
        documents=int(each.pool.sum()),
        weight=None if weighed is None else weighed.weight,
        modes=modes,
        exact=by_exact,
        slices=tuple(_parts(each, figures, catalogue, what)) if what.parts else (),
        sliced=sliced,
        fitted=None if weighed is None else weighed.fitted,
        missing=each.judged.missing,
        unanswerable=each.judged.unanswerable,
        fingerprint=each.asked.fingerprint,
    )


def _modes(
    each: _Prepared,
    exact: Ranking,
    by_exact: ModeResult,
    subject: Subject,
    catalogue: Catalogue,
    what: Measured,
    progress: Progress,
) -> tuple[dict[str, ModeResult], _Weighed | None]:
    """Measure every mode that is wanted and that the release has, and say how words were weighed."""
    modes: dict[str, ModeResult] = {}
    dense, approximate = exact, what.index and subject.role.index.approximate
    if approximate and what.modes != ("text",):
        dense = through_index(subject, catalogue, each.plain.queries, each.pool, progress, each.asked.source)
    if "dense" in what.modes:
        found = _scores(catalogue, dense, each.judged) if approximate else None
        modes["dense"] = by_exact if found is None else mode_result(found, what.confidence)
    if what.modes == ("dense",) or not subject.worded:
        return modes, None
    text = through_words(subject, catalogue, each.texts(each.judged), each.pool, progress)
    if "text" in what.modes:
        modes["text"] = mode_result(_scores(catalogue, text, each.judged), what.confidence)
    if "hybrid" not in what.modes:
        return modes, None
    weighed = _weighed(each, catalogue.sides(dense), catalogue.sides(text), subject, catalogue)
    modes["hybrid"] = mode_result(weighed.scores, what.confidence)
    return modes, weighed


@dataclass(frozen=True)
class _Weighed:
    """Scores of both sides together, the share of the words, and what chose it."""

    scores: dict[str, Scores]
    weight: float
    fitted: Fitted


def _weighed(
    each: _Prepared, dense: pl.DataFrame, text: pl.DataFrame, subject: Subject, catalogue: Catalogue
) -> _Weighed:
    """Fuse as a search of the release does; where it has no weight, with one that other questions chose."""
    relevant = each.judged.relevant
    if subject.role.fusion is not None:
        own = subject.role.fusion
        return _Weighed(judge(fuse(dense, text, own.weight, own.depth), relevant), own.weight, "release")
    if each.dev is not None:
        known, asked = each.dev
        by_words = catalogue.sides(through_words(subject, catalogue, each.texts(known), each.pool))
        weight = fit(catalogue.sides(asked.ranking()), by_words, known.relevant).weight
        return _Weighed(judge(fuse(dense, text, weight), relevant), weight, "dev")
    _, weights = two_fold(dense, text, relevant)
    even, odd = (judge(fuse(dense, text, weight), relevant) for weight in weights)
    second = np.arange(len(relevant)) % 2 == 1
    scores = {name: np.where(second, odd[name], even[name]) for name in METRICS}
    return _Weighed(scores, sum(weights) / 2, "two-fold")


def _parts(each: _Prepared, figures: Scores, catalogue: Catalogue, what: Measured) -> list[SliceResult]:
    """Slices of the questions, and all of them disturbed: dense, compared with every chunk."""
    found = [SliceResult.of(by, value, rows, figures[rows], what.confidence) for by, value, rows in slices(each.judged)]
    every = np.arange(len(figures), dtype=np.int64)
    for kind, asked in each.noise.items():
        disturbed = _scores(catalogue, asked.ranking(), each.judged)[MAIN]
        found.append(SliceResult.of("noise", kind, every, disturbed, what.confidence))
    return found


def _scores(catalogue: Catalogue, ranking: Ranking, judged: Judged) -> dict[str, Scores]:
    """Every metric of every question; the names of the documents are held for some questions at a time."""
    numbers, relevant = ranking.documents, judged.relevant
    parts = [
        score(catalogue.named(numbers[at : at + _BATCH]), relevant[at : at + _BATCH])
        for at in range(0, len(relevant), _BATCH)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in METRICS}
