"""Pairs out of a release."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from random import Random

import polars as pl
import pytest
from corpus import configure, context, save
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.config.schema import Config
from flows.refresh import refresh
from storage.tables.pairs import PairTable
from storage.tables.releases import Releases
from storage.tables.store import Store
from tasks.learn.asked import ASKED, from_generated, from_judged
from tasks.learn.candidates import COLUMNS, candidates, group_of
from tasks.learn.choose import choose
from tasks.learn.config import PairsConfig
from tasks.learn.pair import Pairs, pair
from tasks.learn.questions import JUDGEMENTS, QUESTIONS, QuestionSet
from tasks.learn.wording import plain

WORDS = ("tide", "moon", "sea", "harbour", "current", "wave", "shore", "chart", "pilot", "wind", "swell", "reef", "ebb")
COUNT = 40


def page(number: int) -> str:
    random = Random(number)
    body = " ".join(f"{random.choice(WORDS)}{random.randrange(40)}" for _ in range(40))
    return f"# The big page of {number}\n\n{body}\n\n## How to read chart {number}\n\n{body[::-1]}\n"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    files = {f"{'abcdefgh'[number % 8]}/{number}.md": page(number) for number in range(COUNT)}
    made = configure(tmp_path, files, chunker={})
    refresh(made)
    return made


def run(config: Config, given_: PairsConfig | None = None, judged: Sequence[QuestionSet] = ()) -> Pairs:
    with context(config) as each:
        return pair(each, Releases(each.store).get(), given_ or PairsConfig(), judged=judged, base=config.base)


def rows(config: Config, **which: object) -> pl.DataFrame:
    return pl.concat(list(PairTable(Store(config.store.uri)).slices(**which)))  # type: ignore[arg-type]


def judgements(split: str, *asked: tuple[str, str]) -> QuestionSet:
    questions = pl.DataFrame([(f"q{n}", text) for n, (text, _) in enumerate(asked)], schema=QUESTIONS, orient="row")
    graded = [(f"q{n}", "notes", name, 1) for n, (_, name) in enumerate(asked)]
    return QuestionSet("set", split, "target", None, questions, pl.DataFrame(graded, schema=JUDGEMENTS, orient="row"))  # type: ignore[arg-type]


def test_pairs_come_from_structure_and_are_split_by_folder(config: Config) -> None:
    found = run(config)
    assert sum(found.splits.values()) == found.counts["pairs"] == 2 * COUNT
    assert {kind for kind, _ in found.kinds} == {"headings"}  # which ask the same as the titles, of a part of the text
    table = rows(config)
    assert table["version"].unique().to_list() == [found.version]
    assert set(table["group"]) == {f"notes/{name}" for name in "abcdefgh"}
    assert table.group_by("group").agg(pl.col("split").n_unique())["split"].max() == 1
    for question, passage in table.select("question", "passage").iter_rows():
        assert plain(question) not in plain(passage)


def test_the_same_documents_give_the_same_pairs_which_are_made_once(config: Config) -> None:
    first, before = run(config), rows(config)
    again = run(config)
    assert again.reused and not first.reused
    assert (again.digest, again.kinds) == (first.digest, first.kinds)
    other = run(config, PairsConfig(most=10))
    assert other.counts["pairs"] == 10
    assert run(config).digest == first.digest
    assert rows(config).equals(before)


def test_another_night_moves_no_pair(config: Config) -> None:
    run(config)
    before = dict(rows(config).select("id", "split").iter_rows())
    save(config.base / "notes", {"i/new.md": page(900), "a/new.md": page(901), "b/9.md": None})
    refresh(config)
    run(config)
    after = dict(rows(config).select("id", "split").iter_rows())
    assert {name: part for name, part in after.items() if name in before} == {
        name: part for name, part in before.items() if name in after
    }
    assert len(after) > len(before)


def test_judged_documents_are_not_trained_on(config: Config) -> None:
    sets = [
        judgements("test", ("Which page is the best?", "a/0.md")),
        judgements("train", ("What does this one say?", "b/1.md"), ("And what does that say?", "a/0.md")),
    ]
    found = run(config, judged=sets)
    table = rows(config)
    held = table.filter(pl.col("document") == "a/0.md")
    assert set(held["split"]) == {"test"}
    assert found.kinds["judged", "test"] == found.kinds["judged", "train"] == 1
    assert table.filter(pl.col("question") == "What does this one say?")["split"].to_list() == ["train"]
    assert found.dropped["judged"] >= 1


def test_feedback_gives_pairs_and_wrong_answers(config: Config) -> None:
    record = {"query": "where is the pilot", "shown": ["a/0.md", "b/1.md"], "clicked": "b/1.md"}
    (config.base / "log.jsonl").write_text(json.dumps(record) + "\n{\n")
    found = run(config, PairsConfig(feedback=(Path("log.jsonl"),)))
    assert found.dropped["malformed"] == 1
    assert "line 2" in found.notes[0]
    kept = rows(config, negatives=True).filter(pl.col("kind") == "feedback")
    assert dict(kept.select("document", "grade").iter_rows()) == {"b/1.md": 1} or kept["split"].n_unique() == 1


def test_a_general_set_is_never_trained_on() -> None:
    given_ = judgements("train", ("Is it so?", "a"))
    general = QuestionSet("g", "train", "general", None, given_.questions, given_.judgements)
    assert from_judged([general])["fixed"].to_list() == ["test"]
    assert from_judged([general, given_])["fixed"].to_list() == ["test"]
    assert from_judged([]).schema == ASKED


def test_generated_questions_follow_their_content() -> None:
    written = pl.DataFrame({"key": ["k1", "k2", "k3"], "content_hash": ["c1", "c2", "c3"], "question": ["a", "", "c"]})
    ledger = pl.DataFrame({"key": ["k9", "k2"], "content_hash": ["c1", "c2"]})
    found = from_generated(written, ledger)
    assert found.schema == ASKED
    assert found.select("question", "key").rows() == [("a", "k9")]


def test_groups_are_what_metadata_say_or_packages_or_top_folders() -> None:
    assert group_of("s", "a/b.md", '{"suffix": ".md"}') == "s/a"
    assert group_of("s", "b.md", '{"suffix": ".md"}') is None
    assert group_of("s", "json.loads", '{"package": "json"}') == "s/json"
    assert group_of("s", "7", '{"group": "hr", "package": "x"}') == "s/hr"
    assert group_of("s", "a/7", None) is None


def narrow(*cells: tuple[str, str, str, str]) -> pl.DataFrame:
    held = [(f"{n:03}", "notes", c, kind, None, fixed or None, q, c, 1) for n, (kind, q, c, fixed) in enumerate(cells)]
    names = ["id", "source", "content_hash", "kind", "group", "fixed", "asked", "key", "grade"]
    return pl.DataFrame(held, schema=dict.fromkeys(names, pl.String) | {"grade": pl.Int32}, orient="row")


def test_a_question_with_many_answers_says_nothing_and_one_with_a_few_is_asked_once() -> None:
    cells = [("titles", "q", f"c{n}", "") for n in range(4)] + [("headings", "r", f"c{n}", "") for n in range(3)]
    chosen, dropped = choose(narrow(*cells), 100)
    assert chosen.select("asked", "key").rows() == [("r", "c0")]
    assert dropped == {"duplicate": 2, "ambiguous": 4}


def test_what_people_say_comes_before_what_texts_suggest() -> None:
    cells = [
        ("titles", "q", "c0", ""),
        ("judged", "q", "c1", "train"),
        ("queries", "r", "c2", ""),
        ("titles", "r", "c2", ""),
    ]
    chosen, dropped = choose(narrow(*cells), 100)
    assert chosen.select("kind", "key").rows() == [("judged", "c1"), ("queries", "c2")]
    assert dropped == {"duplicate": 2}


def test_kinds_share_the_room_and_what_is_judged_needs_none() -> None:
    cells = [("titles", f"t{n}", f"a{n}", "") for n in range(50)] + [
        ("headings", f"h{n}", f"b{n}", "") for n in range(4)
    ]
    held = [("judged", f"j{n}", f"d{n}", "test") for n in range(5)]
    chosen, dropped = choose(narrow(*cells, *held), 20)
    assert dict(chosen.group_by("kind").len().iter_rows()) == {"titles": 16, "headings": 4, "judged": 5}
    assert dropped == {"beyond": 34}


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=40), st.lists(st.text(max_size=30), max_size=4), st.text(max_size=120))
def test_no_pair_holds_the_words_of_its_question(title: str, queries: list[str], text: str) -> None:
    body = (
        f"{title}\n\n{text}\n\n{' '.join(queries)}\n\n{text} {title} and so on, until there is enough of a passage here"
    )
    row = dict.fromkeys(COLUMNS) | {"key": "k", "source": "s", "id": "i", "content_hash": "c"}
    row |= {"title": title, "queries": queries, "text": body}
    kinds = dict.fromkeys(COLUMNS, pl.String) | {"queries": pl.List(pl.String)}
    [(found, _)] = candidates([pl.DataFrame([row], schema=kinds)], ["queries", "titles"], pl.DataFrame(schema=ASKED))
    for question, passage in found.select("question", "passage").iter_rows():
        bare = " ".join(question.rstrip(".!?:; ").split()).lower()
        assert f" {bare} " not in f" {' '.join(passage.split()).lower()} "
