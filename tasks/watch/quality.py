"""The figures of quality: how well a release answers, and what was lost since its encoder was promoted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from models.encoder import EncoderFolder
from models.statistics import Paired, interval
from storage.hashing import digest
from storage.outcome import Outcome
from storage.tables.evaluations import Evaluations
from storage.tables.roles import Role
from tasks.context import Context
from tasks.learn.config import QualityConfig
from tasks.learn.evaluate import Measured, measure
from tasks.learn.floors import Floors, Since, judge, since_promoted
from tasks.learn.judged import OWN, own_questions
from tasks.learn.questions import QuestionSet
from tasks.learn.record import rows
from tasks.learn.results import MAIN, Evaluation, SetResult
from tasks.learn.subject import Subject
from tasks.stage import stage
from tasks.verdict import Verdict
from tasks.watch.figures import Family, Figure

__all__ = ["NO_QUESTIONS", "measure_own", "measure_quality", "sampled"]

OWN_MOST = 200  # of the documents' own queries
RESAMPLES = 2_000
NO_QUESTIONS = (
    "there are no golden questions: name a set under [[evaluation]], or nobody can say how good a release is. Instead "
)
_INSTEAD = {
    True: "its documents' own queries were asked, which bars no release",
    False: "nothing was asked, for its documents bring no queries either",
}


def measure_quality(
    evaluation: Evaluation, since: Mapping[str, Since], role: Role, config: QualityConfig
) -> tuple[Figure, ...]:
    """The figures of a release that was measured.

    What was lost is paired, question by question, with the release that brought the encoder: a loss that no night alone
    shows is seen there. `decay` is how much of it is sure, by the end of its interval, beyond `quality.max_drop`.

    Args:
        evaluation: What was measured: dense, compared with every chunk.
        since: Set to its difference to the release that was last promoted.
        role: How the release is searched.
        config: What may be lost, and how sure an interval is.
    """
    figures = [
        figure for found in evaluation.sets for figure in _of_set(found, since.get(found.name), role.space, config)
    ]
    if role.index.approximate and role.index.recall is not None:
        detail = {"kind": role.index.kind, "nprobes": role.index.nprobes}
        figures.append(Figure(Family.QUALITY, "index_recall", role.index.recall, detail=detail, space=role.space))
    return tuple(figures)


@dataclass(frozen=True)
class OwnResult:
    """How a release answers the queries of its own documents.

    Attributes:
        floors: What was measured, and what was lost; None where documents bring no queries.
        note: Why it had to be these.
    """

    floors: Floors | None
    note: str

    @property
    def counts(self) -> dict[str, int]:
        """Sets and questions."""
        return {} if self.floors is None else self.floors.evaluation.counts


@stage
def measure_own(
    context: Context, encoder: EncoderFolder, tables: Mapping[str, int], role: Role, config: QualityConfig
) -> OwnResult:
    """Measure what is about to be published on a sample of its documents' own queries, and record it; it bars nothing.

    Args:
        context: The run.
        encoder: The encoder of the role.
        tables: Table name to the version that is about to be published.
        role: Its text role.
        config: How sure an interval is.
    """
    subject = Subject.drafted(context.store, tables, role)
    asked = own_questions(subject.documents, OWN)
    if asked is None:
        return OwnResult(None, NO_QUESTIONS + _INSTEAD[False])
    what = Measured(("dense",), index=False, parts=False, confidence=config.confidence)
    measured = measure(subject, encoder.open(), [sampled(asked, OWN_MOST)], what=what, progress=context.progress)
    release = (0 if context.base is None else context.base.seq) + 1
    since = since_promoted(context, measured, config)
    made = rows(measured, run=context.run, maker=context.run, space=role.space, now=context.now, release=release)
    Evaluations(context.store).add(made)
    found = judge(measured, {}, config, since)
    return OwnResult(replace(found, verdict=Verdict(Outcome.PASSED)), NO_QUESTIONS + _INSTEAD[True])


def sampled(asked: QuestionSet, most: int) -> QuestionSet:
    """Some questions of a set, nearly the same in every night: those whose texts have the smallest hashes.

    Each is named by its text, so that what was measured of two nights can be paired where they share questions.
    """
    named = asked.questions.with_columns(pl.col("text").map_elements(digest, return_dtype=pl.String).alias("name"))
    named = named.sort("name").head(most)
    names = dict(named.select("question", "name").iter_rows())
    judgements = asked.judgements.filter(pl.col("question").is_in(list(names)))
    return replace(
        asked,
        questions=named.select(pl.col("name").alias("question"), "text"),
        judgements=judgements.with_columns(pl.col("question").replace_strict(names, return_dtype=pl.String)),
    )


def _of_set(found: SetResult, since: Since | None, space: str, config: QualityConfig) -> Iterator[Figure]:
    if found.exact is None:
        return
    for metric, figures in found.exact.each.items():
        low, high = interval(figures, config.confidence, RESAMPLES)
        told = {"questions": found.questions, "interval": [round(low, 6), round(high, 6)]}
        yield Figure(Family.QUALITY, metric, float(figures.mean()), found.name, told, space=space)
    if since is not None:
        yield Figure(
            Family.QUALITY, "decay", _sure(since.paired, config), found.name, _lost(since, config), space=space
        )


def _sure(paired: Paired, config: QualityConfig) -> float:
    return max(0.0, -paired.high - config.max_drop)


def _lost(since: Since, config: QualityConfig) -> dict[str, Any]:
    paired = since.paired
    return {
        "against": since.release,
        "metric": MAIN,
        "change": round(paired.difference, 6),
        "interval": [round(paired.low, 6), round(paired.high, 6)],
        "questions": paired.n,
        "allowed": config.max_drop,
    }
