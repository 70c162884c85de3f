"""Hard negatives of the pairs that are trained with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from corpus import configure, context
from shelf import Paper, shelve, stub

from models.config import EncoderConfig
from models.encoder import resolve
from storage.reader import Reader
from storage.tables.documents import DocumentTable
from storage.tables.pairs import PAIRS, PairTable, write
from tasks.context import Context
from tasks.learn import harden as module
from tasks.learn.harden import Answers, harden, hardened
from tasks.learn.lesson import Lesson, lay_out

TEST, CLUSTER = {"d7", "d8", "d9"}, {"d0", "d1"}
PAPERS = [Paper(f"d{n}", [f"item{n} of the tide tables", f"more of item{n}"]) for n in range(12)]
# Two documents of one text that both have chunks, as before duplicates were found.
PAPERS += [Paper("same2", PAPERS[2].passages), Paper("unasked", ["tide tables of nowhere"])]


def pairs() -> pl.DataFrame:
    rows = [
        {
            "id": str(n),
            "question": f"item{n} tide",
            "key": paper.key,
            "passage": f"of the tide tables, more of item{n}",
            "cluster": "c" if paper.id in CLUSTER else paper.id,
            "split": "test" if paper.id in TEST else "train",
            "grade": 1,
        }
        for n, paper in enumerate(PAPERS[:12])
    ]
    rows.append(rows[5] | {"id": "again", "question": "item6 tide"})  # two documents answer this one
    return pl.DataFrame([dict.fromkeys(PAIRS.names[:-3]) | row for row in rows], infer_schema_length=None)


@pytest.fixture
def made(tmp_path: Path) -> Iterator[tuple[Context, int]]:
    release = shelve(tmp_path / "store", PAPERS)
    with context(configure(tmp_path)) as each:
        version = release.tables["documents"]
        write(each.store, version, [pairs()])
        yield each, version


def mined(lesson: Lesson) -> dict[str, list[str]]:
    return dict(pl.read_parquet(lesson.examples).select("question", "negatives").iter_rows())


def run(each: Context, version: int) -> tuple[Lesson, Lesson]:
    assert each.base is not None
    plain = lay_out(each, each.base, version, [])
    return plain, harden(each, each.base, resolve(EncoderConfig(name="stub")), plain, version, 3)


def test_negatives_are_near_and_neither_right_nor_of_what_judges_later(made: tuple[Context, int]) -> None:
    plain, found = run(*made)
    negatives = mined(found)
    assert list(negatives) == [*(f"item{n} tide" for n in (*range(7), 10, 11))]
    wrong = {text: paper.id for paper in PAPERS for text in paper.passages}
    named = {question: {wrong[text] for text in texts} for question, texts in negatives.items()}
    assert all(len(texts) == 3 for texts in negatives.values())
    assert not any(names & TEST for names in named.values())
    assert not named["item0 tide"] & CLUSTER
    assert not named["item2 tide"] & {"d2", "same2"}
    assert not named["item6 tide"] & {"d5", "d6"}
    assert found.negatives == 3 * found.rows == 3 * plain.rows
    assert found.identity != plain.identity
    assert pl.read_parquet(plain.examples).drop("negatives").equals(pl.read_parquet(found.examples).drop("negatives"))


def test_a_run_that_mines_again_has_the_same_examples(
    made: tuple[Context, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, first = run(*made)
    rows = mined(first)
    monkeypatch.setattr(module, "SLICE", 2)  # a question whose pairs lie in two slices is mined with all its answers
    _, again = run(*made)
    assert (again.identity, mined(again)) == (first.identity, rows)


def test_a_pair_without_negatives_keeps_its_place(made: tuple[Context, int]) -> None:
    each, version = made
    assert each.base is not None
    seen = Reader(each.store, each.base).pinned
    answers = Answers.of(PairTable(each.store), version, DocumentTable(each.store, each.base.tag))
    none = Answers(answers.right, answers.families, answers.pool.clear())
    part = pl.DataFrame({"question": ["item3 tide", "item1 tide"], "passage": ["a", "b"]})
    [found] = hardened([part], none, seen.chunks, stub(), 3)
    assert found.rows() == [("item3 tide", "a", []), ("item1 tide", "b", [])]
