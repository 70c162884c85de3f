"""What the gate compares: what readers of both releases get, and the encoders alone beside."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest
from shelf import Paper, asked, read, shelve, stub

from models.config import EncoderConfig
from models.encoder import resolve
from storage.tables.roles import Fusion, IndexFacts
from tasks.learn.challenge import Side, held_back, trial
from tasks.learn.config import QualityConfig
from tasks.learn.questions import QuestionSet
from tasks.progress import Silent

NOISE = "and much else about the weather of the coast"


@pytest.fixture(scope="module")
def side(tmp_path_factory: pytest.TempPathFactory) -> Side:
    """A release whose words answer what its vectors do not."""
    folder = tmp_path_factory.mktemp("sides")
    papers = [Paper(f"d{n}", [f"item{n} {NOISE}"]) for n in range(30)]
    # Of the questions these share what is in every text: near to vectors, nothing to words.
    papers += [Paper(f"x{n}", [f"what is to the of that in, number{n}"]) for n in range(30)]
    shelve(folder, papers, IndexFacts(text="simple"))
    return Side(read(folder), resolve(EncoderConfig(name="stub")), stub())


@pytest.fixture(scope="module")
def questions() -> QuestionSet:
    return asked({f"what item{n} says to the pilot of the ship that comes in late": {f"d{n}": 1} for n in range(30)})


def with_words(side: Side, weight: float) -> Side:
    role = replace(side.subject.role, fusion=Fusion(weight))
    return replace(side, subject=replace(side.subject, role=role))


def test_what_words_add_is_a_gain_of_the_release_and_not_of_its_encoder(side: Side, questions: QuestionSet) -> None:
    found = trial(side, with_words(side, 1.0), [questions], {}, QualityConfig(), Silent())
    told = found.metrics["set"]
    assert (told["champion"], told["challenger"]) == (told["dense"]["champion"], 1.0)
    assert told["modes"] == ["dense", "hybrid"]
    assert told["dense"]["champion"] == told["dense"]["challenger"] < 0.9
    assert (told["dense"]["gain"], told["dense"]["interval"]) == (0.0, [0.0, 0.0])
    assert found.promotion.bars[0].value == pytest.approx(1 - told["champion"], abs=1e-6)
    assert found.promotion.bars[0].holds


def test_an_encoder_that_adds_nothing_to_what_readers_get_is_refused(side: Side, questions: QuestionSet) -> None:
    found = trial(with_words(side, 1.0), with_words(side, 1.0), [questions], {}, QualityConfig(), Silent())
    assert found.metrics["set"]["modes"] == ["hybrid", "hybrid"]
    assert (found.promotion.bars[0].value, found.promotion.bars[0].holds) == (0.0, False)


def test_a_release_whose_words_have_no_weight_is_judged_by_vectors(side: Side, questions: QuestionSet) -> None:
    found = trial(with_words(side, 0.0), with_words(side, 1.0), [questions], {}, QualityConfig(), Silent())
    assert found.metrics["set"]["modes"] == ["dense", "hybrid"]
    assert found.champion.sets[0].modes.keys() == {"dense"}


def test_a_source_of_three_questions_bounds_no_forgetting(questions: QuestionSet) -> None:
    def pairs(source: str, count: int) -> pl.DataFrame:
        rows = [(f"what is {source} {n}", source, f"{source}{n}", f"it is {n}") for n in range(count)]
        return pl.DataFrame(rows, schema=["question", "source", "content_hash", "passage"], orient="row")

    target = replace(questions, source="notes")
    held = pl.concat([pairs("notes", 40), pairs("mails", 3), pairs("pages", 20)])
    assert list(held_back(held, [target])) == ["pairs of pages"]
