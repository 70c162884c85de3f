"""Trials of re-rankers: each kind judged, what does not help kept out with the bar that it missed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import pytest
from corpus import configure, prose
from tiny import docstrings

from flows.refresh import refresh
from models.config import EncoderConfig
from models.encoder import Encoder, Vectors, resolve
from models.rerank.base import Candidate, open_reranker, token_encoder
from models.rerank.late import LateInteraction
from models.statistics import paired
from storage.reader import Reader
from tasks.learn.config import QualityConfig
from tasks.learn.firststage import FirstStage, first_stage
from tasks.learn.questions import JUDGEMENTS, QUESTIONS, QuestionSet
from tasks.learn.rerankers import Trial, Tried, best, role_of, try_rerankers
from tasks.learn.rerankers import _affordable as affordable
from tasks.learn.rerankers import _missed as missed

TEXTS = [text[:60] for text in docstrings()]
QUALITY = QualityConfig(max_rerank_ms=10_000)


def stage(questions: int, seed: int, words: bool = True, first: bool = False) -> FirstStage:
    """Questions of ten candidates, of which one answers, the first if wanted: else vectors hardly tell it; words do."""
    random = np.random.default_rng(seed)
    candidates, relevant = [], []
    for _ in range(questions):
        right = 0 if first else int(random.integers(10))
        similar = sorted(random.random(10), reverse=True)
        matching = random.random(10) + (np.arange(10) == right)
        texts = random.choice(TEXTS, 10)
        told = [float(score) if words else None for score in matching]
        candidates.append([Candidate(str(t), float(s), w) for t, s, w in zip(texts, similar, told, strict=True)])
        relevant.append({str(right): 1})
    contents = [[str(at) for at in range(10)] for _ in range(questions)]
    return FirstStage([text[:20] for text in random.choice(TEXTS, questions)], candidates, contents, relevant)


@pytest.fixture(scope="module")
def encoder(tiny_model: Path) -> Encoder:
    return resolve(tiny_model).open()


def test_what_helps_is_promoted_and_what_does_not_is_refused_with_its_bar(encoder: Encoder, tmp_path: Path) -> None:
    trials = {trial.row.kind: trial for trial in try_rerankers(stage(60, 1), stage(60, 2), encoder, tmp_path, QUALITY)}
    assert list(trials) == ["late interaction", "fusion of words", "fusion"]
    late, light = trials["late interaction"].row, trials["fusion of words"].row
    assert (late.verdict, light.verdict) == ("refused", "promoted")
    assert "quality.min_gain asks for +0.010" in late.reason or "the interval is not above 0" in late.reason
    assert light.gain == pytest.approx(light.ndcg - light.first) and 0 < light.low < light.gain < light.high
    assert light.questions == 60 and light.milliseconds > 0 and light.reason.startswith(f"gains {light.gain:+.3f}")
    chosen = best(list(trials.values()))
    assert chosen is not None and chosen.row.verdict == "promoted" and chosen.folder is not None
    role = role_of(chosen, encoder.space.id)
    assert (role.space, role.encoder.modality, role.table) == (chosen.id, "reranker", None)
    assert role.encoder.parent == encoder.space.id
    assert open_reranker(chosen.folder, lambda: encoder).name == "logistic fusion"


@pytest.mark.parametrize(("dev", "refused"), [(-0.002, True), (0.0, False), (0.01, False)])
def test_one_that_dev_questions_speak_against_is_refused_whatever_the_test_questions_say(
    dev: float, refused: bool
) -> None:
    found = paired(np.zeros(60), np.full(60, 0.2))
    assert ("on the dev questions it gains -0.002" in missed(found, dev, 1.0, QUALITY)) == refused


def test_one_that_is_too_slow_is_refused_for_that(
    encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = QualityConfig(max_rerank_ms=1e-6)
    trials = try_rerankers(stage(40, 1), stage(40, 2), encoder, tmp_path, slow)
    assert all("quality.max_rerank_ms allows 1e-06" in trial.row.reason for trial in trials)
    assert best(trials) is None
    # What is too slow is judged on some of the questions, and what is not on all of them; each is timed once.
    monkeypatch.setattr("tasks.learn.rerankers.SKETCH", 10)
    took = iter([9.0, 1.0, 9.0])
    monkeypatch.setattr(FirstStage, "milliseconds", lambda *_: next(took))
    again = try_rerankers(stage(40, 1), stage(40, 2), encoder, tmp_path, QualityConfig(max_rerank_ms=5))
    assert [(trial.row.questions, trial.row.milliseconds) for trial in again] == [(10, 9), (40, 1), (10, 9)]
    assert next(took, None) is None


@pytest.mark.parametrize(
    ("milliseconds", "allowed", "dev", "test"),
    [(1, 100, 900, 900), (100, 100, 600, 900), (370, 500, 162, 648), (370, 100, 54, 54), (2_500, 100, 10, 10)],
)
def test_how_many_questions_are_scored_follows_from_what_one_takes(
    milliseconds: float, allowed: float, dev: int, test: int
) -> None:
    many = FirstStage(["x"] * 900, [[]] * 900, [[]] * 900, [{}] * 900)
    found = affordable(many, many, QualityConfig(max_rerank_ms=allowed), milliseconds)
    assert [len(part.questions) for part in found] == [dev, test]


def test_trials_say_how_far_they_are_and_score_as_one_question_after_the_other(encoder: Encoder) -> None:
    questions = stage(30, 3)
    late = LateInteraction(token_encoder(encoder))
    told: list[int] = []
    together = questions.scored(late, told.append)
    alone = [late.rerank(*each) for each in zip(questions.questions, questions.candidates, strict=True)]
    assert told == sorted(told) and told[-1] == 30
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    assert questions.ndcg([each.round(5) for each in together]).tolist() == pytest.approx(
        questions.ndcg([each.round(5) for each in alone]).tolist()
    )


def test_a_passage_that_many_questions_find_is_encoded_once(encoder: Encoder) -> None:
    read: list[str] = []

    class Counted:
        def encode_tokens(self, texts: Sequence[str], task: Literal["document", "query"]) -> list[Vectors]:
            read.extend(texts if task == "document" else ())
            return token_encoder(encoder).encode_tokens(texts, task)

    questions = stage(30, 3)
    questions.scored(LateInteraction(Counted()))
    found = [candidate.text for row in questions.candidates for candidate in row]
    assert sorted(read) == sorted(set(found)) and len(found) > 5 * len(read)


def test_what_cannot_be_made_says_why(tmp_path: Path) -> None:
    stub = resolve(EncoderConfig(name="stub")).open()
    trials = try_rerankers(stage(5, 1, words=False), stage(5, 2, words=False), stub, tmp_path, QUALITY, {"x": tmp_path})
    reasons = [trial.row.reason for trial in trials]
    assert [trial.folder for trial in trials] == [None] * 4
    assert "the encoder stub gives none" in reasons[0] and "no full-text index" in reasons[1]
    assert "is not the folder of a re-ranker" in reasons[3]


def test_the_dev_questions_choose_among_those_that_passed() -> None:
    rows = [Tried("a", dev=0.1, verdict="promoted"), Tried("b", dev=0.2, verdict="promoted"), Tried("c", dev=0.3)]
    chosen = best([Trial(row, Path()) for row in rows])
    assert chosen is not None and chosen.row.kind == "b"
    assert best([Trial(replace(row, verdict="refused")) for row in rows]) is None


def test_a_first_stage_is_what_the_release_answers_judged_by_content(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    names = ("anchor", "buoy", "chart")
    for name in names:
        (tmp_path / "notes" / f"{name}.md").write_text(prose(name))
    config = configure(tmp_path)
    refresh(config)
    questions = pl.DataFrame([(name, f"The {name} of row 0") for name in names], schema=QUESTIONS, orient="row")
    rows = [(name, "notes", f"{name}.md", 1) for name in names[:2]]
    judgements = pl.DataFrame(rows, schema=JUDGEMENTS, orient="row")
    asked = QuestionSet("s", "test", "target", "notes", questions, judgements)
    reader, encoder = Reader.open(config.store.uri), resolve(EncoderConfig(name="stub")).open()
    found = first_stage(reader, encoder, [asked], depth=5)
    assert found.questions == ["The anchor of row 0", "The buoy of row 0"]
    assert found.ndcg().tolist() == [1, 1]
    assert found.ndcg([-np.arange(len(each), dtype=float) for each in found.candidates]).tolist() == [1, 1]
    # It is searched by vectors, and still every candidate is weighed by its words too.
    assert all(each.dense is not None and each.words is not None for row in found.candidates for each in row[:1])
    both = first_stage(reader, encoder, [asked, asked], depth=5)
    assert both == FirstStage.joined([found, found])
    assert first_stage(reader, encoder, [asked, asked, asked], depth=5, most=4) == FirstStage.joined([found] * 3).some(
        4
    )
    assert both.questions == found.questions * 2 and both.some(2).questions == [found.questions[0], found.questions[1]]
    assert both.some(9) is both
