"""Evaluation of small releases whose answers are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from shelf import Paper, asked, read, shelve, stub

from models.config import EncoderConfig
from models.encoder import resolve
from storage.errors import InputError
from storage.tables.roles import Fusion, IndexFacts
from tasks.learn.evaluate import Measured, measure
from tasks.learn.nearest import Asked, nearest_documents
from tasks.learn.rank import through_words
from tasks.learn.results import SetResult
from tasks.learn.subject import Catalogue, Subject
from tasks.search.fuse import fuse, judge

PAPERS = [
    Paper("tide.md", ["the tide rises twice a day", "ebb and flood follow the moon"]),
    Paper("pilot.md", ["the pilot takes the ship into the harbour"]),
    Paper("copy.md", ["the pilot takes the ship into the harbour"], duplicate_of="notes/pilot.md"),
    Paper("chart.md", ["a chart shows depths and reefs"]),
    Paper("alien.md", ["the tide rises twice a day or so"], source="other"),
]
ANSWERS = {
    "when does the tide rise twice": {"tide.md": 2},
    "who takes the ship into the harbour": {"copy.md": 1},
    "what shows depths and reefs": {"chart.md": 1, "tide.md": 0},
}


WORDS = IndexFacts(text="simple")


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    shelve(tmp_path, PAPERS)
    return read(tmp_path)


@pytest.fixture
def worded(tmp_path: Path) -> Subject:
    shelve(tmp_path / "worded", PAPERS, WORDS)
    return read(tmp_path / "worded")


def one(subject: Subject, answers: dict[str, dict[str, int]] = ANSWERS, what: Measured | None = None) -> SetResult:
    (found,) = measure(subject, stub(), [asked(answers)], what=what or Measured(parts=False)).sets
    return found


def test_a_document_that_is_repeated_under_another_id_is_no_miss(subject: Subject) -> None:
    found = one(subject)
    assert found.modes["dense"].figures.tolist() == [1.0, 1.0, 1.0]
    assert (found.questions, found.documents, found.missing, found.unanswerable) == (3, 3, 0, 0)


def test_what_is_searched_is_the_source_that_the_set_names(subject: Subject) -> None:
    whole = asked(ANSWERS, source=None)
    (found,) = measure(subject, stub(), [whole], what=Measured(parts=False)).sets
    assert found.documents == 4
    alone = asked({"when does the tide rise twice": {"alien.md": 1}}, source="other")
    (other,) = measure(subject, stub(), [alone], what=Measured(parts=False)).sets
    assert (other.documents, other.modes["dense"].metrics["ndcg@10"]) == (1, 1.0)
    with pytest.raises(InputError, match="holds no document of source 'nowhere'"):
        measure(subject, stub(), [asked({"x": {"y": 1}}, source="nowhere")])


def test_a_judged_document_that_is_not_there_is_told_and_is_a_miss(subject: Subject) -> None:
    found = one(
        subject, {"when does the tide rise twice": {"tide.md": 1, "lost.md": 1}, "what is lost": {"lost.md": 1}}
    )
    assert found.missing == 1
    assert found.modes["dense"].figures.tolist() == pytest.approx([1 / (1 + 1 / np.log2(3)), 0.0])
    assert found.modes["dense"].metrics["recall@100"] == 0.25


def test_a_question_that_nothing_answers_is_left_out_and_told(subject: Subject) -> None:
    found = one(subject, ANSWERS | {"what is bad": {"chart.md": 0}})
    assert (found.questions, found.unanswerable) == (3, 1)
    with pytest.raises(InputError, match="have no answer: give one a grade of 1 or more"):
        one(subject, {"what is bad": {"chart.md": 0}})


def test_words_and_their_fusion_stand_beside_the_vectors_where_a_release_has_them(
    subject: Subject, worded: Subject
) -> None:
    assert list(one(subject).modes) == ["dense"]
    found = one(worded)
    assert list(found.modes) == ["dense", "text", "hybrid"]
    assert found.weight is not None and 0 <= found.weight <= 1
    assert found.to_dict()["modes"]["dense"].keys() >= {"ndcg@10", "recall@1", "map", "interval", "exact"}
    assert list(one(worded, what=Measured(("hybrid",), parts=False)).modes) == ["hybrid"]


def test_the_weight_is_fitted_on_other_questions_than_those_that_it_is_judged_by(tmp_path: Path) -> None:
    # Vectors answer the one kind of question, words the other: by half and half each weight is fitted on the wrong one.
    shelve(tmp_path, [Paper(f"d{n}", [f"alpha{n} beta{n} gamma{n}"]) for n in range(8)], WORDS)
    subject = read(tmp_path)
    answers = {f"q{n} alpha{n}": {f"d{n}": 1} for n in range(8)}
    dev = asked({"q0 alpha0": {"d0": 1}}, split="dev")
    (crossed,) = measure(subject, stub(), [asked(answers)], what=Measured(parts=False)).sets
    (fitted,) = measure(subject, stub(), [asked(answers)], dev={"set": dev}, what=Measured(parts=False)).sets
    assert (crossed.weight, crossed.fitted) == (0.0, "two-fold")
    assert (fitted.weight, fitted.fitted) == (0.0, "dev")  # dev questions are answered without words
    assert crossed.modes["dense"].metrics == fitted.modes["dense"].metrics
    assert measure(subject, stub(), [asked(answers)], what=Measured(("dense",))).sets[0].fitted is None


@pytest.mark.parametrize("weight", [0.0, 0.35, 1.0])
def test_hybrid_is_what_readers_of_the_release_get(worded: Subject, weight: float) -> None:
    answers, own = ANSWERS | {"harbour": {"tide.md": 1}}, Fusion(weight, depth=2)
    held = replace(worded, role=replace(worded.role, fusion=own))
    dev = {"set": asked({"ebb": {"chart.md": 1}}, split="dev")}
    (found,) = measure(held, stub(), [asked(answers)], dev=dev, what=Measured(parts=False)).sets
    assert (found.weight, found.fitted) == (weight, "release")
    catalogue, texts = Catalogue(held.documents), list(answers)
    pool = catalogue.pool("notes")
    near = Asked(stub().encode_queries(texts), 100, pool)
    nearest_documents(held.chunks, catalogue.keys, [near])
    dense, text = catalogue.sides(near.ranking()), catalogue.sides(through_words(held, catalogue, texts, pool))
    wanted = judge(fuse(dense, text, weight, 2), catalogue.judged(asked(answers)).relevant)
    assert found.modes["hybrid"].figures.tolist() == wanted["ndcg@10"].tolist()
    sides = {0.0: "dense", 1.0: "text"}
    if weight in sides:
        assert found.modes["hybrid"].metrics == found.modes[sides[weight]].metrics


def test_slices_are_of_the_release_s_own_way_to_search_and_noise_is_all_questions(tmp_path: Path) -> None:
    papers = [Paper(f"d{n}", [f"passage {n} about item{n}"]) for n in range(24)]
    shelve(tmp_path, papers, WORDS)
    answers = {(f"item{n}" if n % 2 else f"tell me please about item{n}"): {f"d{n}": 1} for n in range(24)}
    subject = read(tmp_path)
    (found,) = measure(subject, stub(), [asked(answers)]).sets
    lengths = {part.value: len(part.rows) for part in found.slices if part.by == "length"}
    assert lengths == {"1 to 4 words": 12, "5 to 10 words": 12}
    noise = {part.value: part.ndcg for part in found.slices if part.by == "noise"}
    assert noise.keys() == {"typos", "upper case", "lower case", "dropped words"}
    assert noise["upper case"] == noise["lower case"] == found.modes["dense"].metrics["ndcg@10"] == 1.0
    assert noise["typos"] < 1.0
    assert found.sliced == "dense"
    fused = replace(subject, role=replace(subject.role, fusion=Fusion(0.5)))
    assert measure(fused, stub(), [asked(answers)]).sets[0].sliced == "hybrid"
    alone = replace(subject, role=replace(subject.role, fusion=Fusion(0.0)))  # words do not help: readers get vectors
    assert measure(alone, stub(), [asked(answers)]).sets[0].sliced == "dense"


def test_vectors_of_another_space_are_refused(subject: Subject) -> None:
    other = resolve(EncoderConfig(name="stub:2")).open()
    with pytest.raises(InputError, match="cannot ask vectors of space"):
        measure(subject, other, [asked(ANSWERS)])


def test_a_release_without_words_cannot_be_measured_by_words_alone(subject: Subject) -> None:
    with pytest.raises(InputError, match="has no full-text index to find by words"):
        one(subject, what=Measured(("text", "hybrid")))


def test_what_is_not_published_yet_is_measured_the_same(tmp_path: Path) -> None:
    from storage.tables.store import Store

    release = shelve(tmp_path, PAPERS)
    drafted = Subject.drafted(Store(tmp_path), release.tables, release.text)
    sets = [asked(ANSWERS)]
    published = measure(read(tmp_path), stub(), sets)
    assert (published.release, measure(drafted, stub(), sets).sets) == (1, published.sets)


def test_the_result_is_the_shape_that_others_script_against(subject: Subject) -> None:
    told = measure(subject, stub(), [asked(ANSWERS)], what=Measured(parts=False)).to_dict()
    assert told.keys() == {"release", "sets"}
    (found,) = told["sets"]
    assert found.keys() >= {"name", "questions", "documents", "weight", "modes", "slices", "detectable"}
    keys = {"ndcg@10", "recall@1", "recall@10", "recall@100", "mrr@10", "map", "interval"}
    assert found["modes"]["dense"].keys() >= keys
    assert found["detectable"] == pytest.approx(0.364, abs=0.001)


def test_own_pool_rows_are_told_apart_by_content(subject: Subject) -> None:
    catalogue = Catalogue(subject.documents)
    assert catalogue.keys.len() == 4
    assert catalogue.named(np.array([[0, 1, -1]], dtype=np.int32))[0] == list(catalogue.contents[:2])
    assert catalogue.pool("notes").sum() == 3
    both = asked({"x": {"pilot.md": 1, "copy.md": 2}})
    assert [list(grades.values()) for grades in catalogue.judged(both).relevant] == [[2]]
    assert isinstance(catalogue.every, pl.DataFrame)
