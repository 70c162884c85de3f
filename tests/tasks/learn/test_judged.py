"""Judged questions from files, and what is said of a file that is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from corpus import Scripted, configure
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.refresh import refresh
from storage.errors import InputError
from storage.pinned import Pinned
from tasks.learn.config import EvaluationConfig
from tasks.learn.judged import golden, own_questions, question_set, question_sets
from tasks.learn.questions import QuestionSet

HEADER = "query-id\tcorpus-id\tscore\n"
QUERIES = [{"_id": "q1", "text": "one?"}, {"id": "q2", "text": "two?", "metadata": {}}, {"_id": 3, "text": "three?"}]


def beir(folder: Path, queries: list[dict[str, Any]] = QUERIES, **qrels: str) -> EvaluationConfig:
    (folder / "set" / "qrels").mkdir(parents=True)
    (folder / "set" / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in queries))
    for split, lines in qrels.items():
        (folder / "set" / "qrels" / f"{split}.tsv").write_text(HEADER + lines)
    return EvaluationConfig(name="set", path=Path("set"), source="notes")


def told(found: QuestionSet | None) -> tuple[list[tuple[str, str]], list[tuple[str, str, str, int]]]:
    assert found is not None
    return found.questions.rows(), found.judgements.rows()


def test_a_folder_of_beir_gives_the_questions_of_a_split(tmp_path: Path) -> None:
    config = beir(tmp_path, test="q2\td 1\t2\nq2\td2\t0\n", dev="q1\td1\t1\n3\td1\t1\n")
    found = question_set(config, tmp_path, "test")
    assert told(found) == ([("q2", "two?")], [("q2", "notes", "d 1", 2), ("q2", "notes", "d2", 0)])
    assert found is not None
    assert found.relevant.rows() == [("q2", "notes", "d 1", 2)]
    dev = question_set(config, tmp_path, "dev")
    assert told(dev)[0] == [("q1", "one?"), ("3", "three?")]


def test_a_set_without_a_split_is_left_out_of_it(tmp_path: Path) -> None:
    config = beir(tmp_path, test="q1\td\t1\n")
    assert question_set(config, tmp_path, "train") is None
    assert [each.name for each in question_sets([config], tmp_path, "test")] == ["set"]
    assert question_sets([config], tmp_path, "dev") == []


def test_a_document_that_is_judged_twice_has_the_better_grade(tmp_path: Path) -> None:
    assert told(question_set(beir(tmp_path, test="q1\td\t1\nq1\td\t3\n"), tmp_path, "test"))[1][0][3] == 3


def test_qrels_of_trec_stand_beside_their_queries_and_only_judge(tmp_path: Path) -> None:
    beir(tmp_path)
    (tmp_path / "set" / "qrels.txt").write_text("q1 0 d1 1\nq1\t0\td2\t-1\n")
    config = EvaluationConfig(name="trec", path=tmp_path / "set" / "qrels.txt", role="general")
    found = question_set(config, tmp_path, "test")
    assert told(found) == ([("q1", "one?")], [("q1", None, "d1", 1), ("q1", None, "d2", -1)])
    assert found is not None and found.role == "general"
    assert question_set(config, tmp_path, "dev") is None


WRONG = {
    "a missing header": ("q1\td\t1\n", r"test.tsv, line 1: the header must be query-id, corpus-id, score"),
    "a missing field": (HEADER + "q1\td\n", r"test.tsv, line 2: has 2 fields; write query-id, corpus-id and score"),
    "an unknown query": (HEADER + "\nq9\td\t1\n", r"test.tsv, line 3: there is no query 'q9' in queries.jsonl; add it"),
    "no document": (HEADER + "q1\t \t1\n", r"test.tsv, line 2: names no document"),
    "a grade in words": (HEADER + "q1\td\tgood\n", r"test.tsv, line 2: the grade 'good' is no whole number; write 0"),
    "a grade beyond measure": (HEADER + "q1\td\t9999999999\n", r"line 2: the grade '9999999999' is no whole number"),
    "nothing": (HEADER, r"test.tsv: holds no judgement; remove the file"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_judgement_is_told_with_file_line_and_remedy(tmp_path: Path, what: str) -> None:
    content, said = WRONG[what]
    config = beir(tmp_path)
    (tmp_path / "set" / "qrels" / "test.tsv").write_text(content)
    with pytest.raises(InputError, match=said):
        question_set(config, tmp_path, "test")


BROKEN = {
    "no JSON": (b"{", r"queries.jsonl, line 1: is no JSON"),
    "no object": (b"[]\n", r"queries.jsonl, line 1: is no JSON object"),
    "no id": (b'{"text": "x"}\n', r"line 1: a query needs an id"),
    "an id twice": (b'{"_id": "a", "text": "x"}\n{"_id": "a", "text": "y"}\n', r"line 2: query 'a' is there twice"),
    "no text": (b'{"_id": "a", "text": " "}\n', r'line 1: "text" must hold the text of the question'),
    "no UTF-8": (b'{"_id": "a", "text": "\xff"}\n', r"line 1: is not UTF-8; save the file as UTF-8"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_wrong_query_is_told_with_file_line_and_remedy(tmp_path: Path, what: str) -> None:
    content, said = BROKEN[what]
    config = beir(tmp_path, test="q1\td\t1\n")
    (tmp_path / "set" / "queries.jsonl").write_bytes(content)
    with pytest.raises(InputError, match=said):
        question_set(config, tmp_path, "test")


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    config = beir(tmp_path, test="q1\td\t1\n")
    (tmp_path / "set" / "queries.jsonl").unlink()
    with pytest.raises(InputError, match=r"queries.jsonl: cannot be read: No such file"):
        question_set(config, tmp_path, "test")
    with pytest.raises(InputError, match=r"evaluation 'x': .*none does not exist; name a folder"):
        question_set(EvaluationConfig(name="x", path=Path("none")), tmp_path, "test")
    (tmp_path / "bare").mkdir()
    with pytest.raises(InputError, match=r"has no folder qrels; put test\.tsv"):
        question_set(EvaluationConfig(name="x", path=Path("bare")), tmp_path, "test")


def test_golden_questions_name_documents_by_id_or_in_full(tmp_path: Path) -> None:
    lines = [
        {"query": "how?", "documents": ["a.md", {"document": "b.md", "source": "notes", "grade": 3}]},
        {"query": "why?", "documents": [{"document": "a.md"}]},
    ]
    (tmp_path / "golden.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    questions, judgements = told(golden(tmp_path / "golden.jsonl"))
    assert questions == [("1", "how?"), ("2", "why?")]
    assert judgements == [("1", None, "a.md", 1), ("1", "notes", "b.md", 3), ("2", None, "a.md", 1)]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({"query": "x"}, '"documents" must list'),
        ({"query": "x", "documents": []}, '"documents" must list'),
        ({"query": "", "documents": ["a"]}, '"query" must hold the text'),
        ({"query": "x", "documents": [3]}, "3 names no document"),
        ({"query": "x", "documents": [{"document": "a", "grad": 1}]}, "a document has no 'grad'"),
        ({"query": "x", "documents": [{"document": "a", "grade": 1.5}]}, "the grade 1.5 is no whole number"),
        ({"query": "x", "documents": [{"document": "a", "source": 1}]}, "the source 1 is no text"),
    ],
)
def test_a_wrong_golden_question_is_told(tmp_path: Path, line: dict[str, Any], said: str) -> None:
    (tmp_path / "golden.jsonl").write_text(json.dumps(line))
    with pytest.raises(InputError, match=f"golden.jsonl, line 1: .*{said}"):
        golden(tmp_path / "golden.jsonl")
    (tmp_path / "golden.jsonl").write_text("\n")
    with pytest.raises(InputError, match="holds no question; write one a line"):
        golden(tmp_path / "golden.jsonl")


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=60))
def test_whatever_a_file_holds_it_is_read_or_told(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.mktemp("any") / "golden.jsonl"
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"golden\.jsonl"):
        golden(file)


def test_documents_bring_questions_along(tmp_path: Path) -> None:
    items = [
        {"id": "a", "text": "The tide is high at noon.", "queries": ["when is the tide high?", " "]},
        {"id": "b", "text": "The moon is full.", "queries": ["when is the tide high?", "is it full?"]},
        {"id": "c", "text": "Nothing was asked."},
    ]
    Scripted.write(tmp_path / "script.json", items)
    config = configure(tmp_path, sources=[Scripted.config()])
    refresh(config)
    found = own_questions(Pinned.open(config.store.uri).documents)
    assert found is not None
    texts = dict(found.questions.iter_rows())
    answers = sorted((texts[question], document) for question, _, document, _ in found.judgements.iter_rows())
    assert answers == [("is it full?", "b"), ("when is the tide high?", "a"), ("when is the tide high?", "b")]


def test_documents_without_questions_make_no_set(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": "The tide is high at noon."})
    refresh(config)
    assert own_questions(Pinned.open(config.store.uri).documents) is None
