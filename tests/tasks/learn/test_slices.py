"""Parts of a set of questions."""

from __future__ import annotations

import polars as pl

from tasks.learn.questions import QUESTIONS
from tasks.learn.slices import slices
from tasks.learn.subject import Judged


def judged(texts: list[str], sources: list[str | None]) -> Judged:
    frame = pl.DataFrame({"question": [str(n) for n in range(len(texts))], "text": texts}, QUESTIONS)
    return Judged(frame, [{"c": 1}] * len(texts), sources, 0, 0)


def test_questions_are_parted_by_source_language_and_length() -> None:
    english = ["where can I find the opening hours of the library in the old town?"] * 12
    german = ["Wo finde ich die Öffnungszeiten?"] * 10
    found = list(slices(judged(english + german, ["a"] * 11 + ["b"] * 11)))
    assert {(by, value): len(rows) for by, value, rows in found} == {
        ("source", "a"): 11,
        ("source", "b"): 11,
        ("language", "en"): 12,
        ("language", "de"): 10,
        ("length", "5 to 10 words"): 10,
        ("length", "more than 10 words"): 12,
    }
    assert next(rows.tolist() for by, value, rows in found if value == "b") == list(range(11, 22))


def test_what_is_true_of_all_or_of_few_is_no_slice() -> None:
    found = slices(judged(["short one"] * 30 + ["one of the longer questions of this set"] * 9, ["a"] * 38 + [None]))
    assert [(by, value) for by, value, _ in found if by != "language"] == [("source", "a"), ("length", "1 to 4 words")]
