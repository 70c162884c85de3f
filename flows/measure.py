"""Measure how well a published release answers judged questions, and keep the figures."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from flows.config.schema import Config
from flows.run import Run, recorded
from flows.table import Option
from storage.errors import InputError
from storage.tables.evaluations import Evaluations
from storage.tables.store import Store
from tasks.learn.evaluate import MODES, Measured, Mode
from tasks.learn.evaluate import evaluate as measured
from tasks.learn.judged import OWN, golden, own_questions, question_sets
from tasks.learn.questions import QuestionSet
from tasks.learn.record import rows
from tasks.learn.results import Evaluation
from tasks.learn.subject import Subject
from tasks.progress import Progress
from tasks.search.search import Search

__all__ = ["evaluate"]

HOW = (
    "there are no questions to judge a release by: name a set under [[evaluation]] in the configuration, give "
    '--golden FILE with one {"query": ..., "documents": [...]} a line, or --own where documents bring queries along'
)


def evaluate(
    config: Config,
    *,
    release: Annotated[int | None, Option(metavar="N")] = None,
    mode: Annotated[Mode | None, Option(metavar="dense|text|hybrid")] = None,
    golden: Annotated[Path | None, Option(metavar="FILE")] = None,
    own: bool = False,
    trigger: str = "manual",
    console: Progress | None = None,
) -> Evaluation:
    """Measure how well a release answers judged questions: by vectors, by words, by both.

    Args:
        config: The configuration.
        release: Another than the current one.
        mode: One way to search instead of all.
        golden: Questions written by hand, JSON lines with query and documents, beside the configured sets.
        own: Also the queries that the documents bring along.
        trigger: Who started it, for the record.
        console: Where it says how far it is.

    Raises:
        InputError: There is no such release, there are no questions, or a file of them is wrong.
        LeaseHeld: The store is of an older format, and another run migrates it right now.
    """
    store = Store(config.store.uri)
    with recorded(store, "evaluate", config=config, trigger=trigger, progress=console, lease=False) as run:
        with run.clock.stage("open"):
            sets = question_sets(config.evaluation, config.base, "test") + _golden(golden)
            search = Search(config.store.uri, release, device=config.encoder.device, threads=config.encoder.threads)
            sets += _own(search) if own else []
        if not sets:
            raise InputError(HOW)
        found = _measured(config, search, sets, mode, run)
        run.conclude(found.outcome, found.message, search.release)
    return found


def _measured(config: Config, search: Search, sets: list[QuestionSet], mode: Mode | None, run: Run) -> Evaluation:
    seen = search.reader.release
    run.base, dev = seen.seq, {each.name: each for each in question_sets(config.evaluation, config.base, "dev")}
    what = Measured(MODES if mode is None else (mode,), confidence=config.quality.confidence)
    with run.clock.stage("evaluate"):
        found = measured(
            Subject.of(search.reader), search.encoder, sets, dev=dev, what=what, progress=run.clock.progress
        )
    run.counts = found.counts
    with run.clock.stage("record"):
        made = rows(found, run=run.id, maker=seen.run, space=seen.space, now=datetime.now(UTC), release=seen.seq)
        Evaluations(search.reader.store).add(made)
    return found


def _golden(file: Path | None) -> list[QuestionSet]:
    return [] if file is None else [golden(file)]


def _own(search: Search) -> list[QuestionSet]:
    found = own_questions(search.reader.pinned.documents, OWN)
    return [] if found is None else [found]
