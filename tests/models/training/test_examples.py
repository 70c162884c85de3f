"""Examples in a file."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from models.errors import ModelError
from models.training import examples
from models.training.examples import ASKED, EXAMPLES, lay_out

ROWS = [("q1", "p1", ["n1", "n2"]), ("q2", "p2", ["n3"]), ("q3", "p3", []), ("q4", "p4", None)]


def frame(rows: list[tuple[str | None, str | None, list[str] | None]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=EXAMPLES, orient="row")


def laid(file: Path) -> list[tuple[str, ...]]:
    with pa.memory_map(str(file)) as source:
        return [tuple(row.values()) for row in pa.ipc.open_file(source).read_all().to_pylist()]


def test_negatives_are_repeated_and_borrowed(tmp_path: Path) -> None:
    found = lay_out(frame(ROWS), 2, tmp_path / "examples.arrow")

    assert laid(found.file) == [
        ("q1", "p1", "n1", "n2"),
        ("q2", "p2", "n3", "n3"),
        ("q3", "p3", "p1", "p1"),
        ("q4", "p4", "p2", "p2"),
    ]
    assert (found.rows, found.distinct) == (4, 4)
    assert found.columns == ("question", "passage", "negative_1", "negative_2")


def test_a_passage_that_is_its_own_negative_is_left_out(tmp_path: Path) -> None:
    rows = [("q1", "p1", ["p1"]), ("q2", "p2", ["n"]), ("q3", "p3", ["n"])]

    assert [row[0] for row in laid(lay_out(frame(rows), 1, tmp_path / "one.arrow").file)] == ["q2", "q3"]


def test_without_negatives_there_are_two_columns(tmp_path: Path) -> None:
    found = lay_out(frame(ROWS), 0, tmp_path / "examples.arrow")

    assert laid(found.file) == [(question, passage) for question, passage, _ in ROWS]


def test_a_file_on_disk_gives_the_same_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examples, "SLICE", 3)
    rows = [(f"q{number}", f"p{number % 7}", [f"n{number}"] * (number % 3)) for number in range(20)]
    frame(rows).write_parquet(tmp_path / "examples.parquet")

    first = lay_out(frame(rows), 1, tmp_path / "a.arrow")
    second = lay_out(pl.scan_parquet(tmp_path / "examples.parquet"), 1, tmp_path / "b.arrow")

    assert (first.digest, first.rows, first.distinct) == (second.digest, second.rows, second.distinct)
    assert laid(first.file) == laid(second.file)


def test_the_digest_changes_with_any_text_and_with_the_order(tmp_path: Path) -> None:
    variants = [ROWS, ROWS[::-1], [("q1", "p1", ["n1", "other"]), *ROWS[1:]]]

    assert len({lay_out(frame(rows), 2, tmp_path / "examples.arrow").digest for rows in variants}) == 3


@pytest.mark.parametrize("broken", [("q5", " ", []), ("", "p5", []), (None, "p5", []), ("q5", None, [])])
def test_an_empty_text_is_refused_with_its_row(
    broken: tuple[str | None, str | None, list[str]], tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="row 4 has an empty question or passage"):
        lay_out(frame([*ROWS, broken]), 1, tmp_path / "examples.arrow")


def test_a_missing_column_and_too_few_passages_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no column 'negatives'"):
        lay_out(frame(ROWS).drop("negatives"), 0, tmp_path / "examples.arrow")
    with pytest.raises(ModelError, match="1 different questions and passages"):
        lay_out(frame([("q1", "p", []), ("q2", "p", [])]), 0, tmp_path / "examples.arrow")


def asked(count: int, rows: int = 8) -> pl.DataFrame:
    """Examples of which the first so many were asked."""
    texts = [(f"q{number}", f"p{number}", None) for number in range(rows)]
    return frame(texts).with_columns(pl.Series(ASKED, [number < count for number in range(rows)]))


def test_what_people_asked_is_learned_from_alone_where_it_fills_every_step(tmp_path: Path) -> None:
    found = lay_out(asked(6), 0, tmp_path / "examples.arrow")
    assert (found.rows, found.asked) == (8, 6)
    assert [found.used(steps, batch) for steps, batch in ((1, 2), (3, 2), (2, 3), (4, 2), (1, 8), (9, 9))] == [
        *(6, 6, 6),
        *(8, 8, 8),
    ]
    assert found.open(found.used(3, 2))["question"][:] == [f"q{number}" for number in range(6)]
    assert len(found.open()) == 8
    assert lay_out(frame(ROWS), 0, tmp_path / "examples.arrow").used(1, 2) == 4  # where nobody knows who asked


def test_many_questions_about_few_passages_fill_no_step(tmp_path: Path) -> None:
    clicks = [(f"q{number}", f"p{number % 2}", None) for number in range(20)]
    others = [(f"r{number}", f"s{number}", None) for number in range(10)]
    rows = frame([*clicks, *others]).with_columns(pl.Series(ASKED, [True] * 20 + [False] * 10))
    found = lay_out(rows, 0, tmp_path / "examples.arrow")
    assert (found.asked, found.asked_distinct, found.distinct) == (20, 2, 12)
    assert [found.used(steps, batch) for steps, batch in ((1, 2), (1, 3), (5, 4))] == [20, 30, 30]


def test_an_example_that_was_asked_stands_behind_none_that_was_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ModelError, match="must stand before all others"):
        lay_out(asked(3).reverse(), 0, tmp_path / "examples.arrow")
    monkeypatch.setattr(examples, "SLICE", 3)
    assert lay_out(asked(5), 0, tmp_path / "examples.arrow").asked == 5
    with pytest.raises(ModelError, match="must stand before all others"):
        lay_out(pl.concat([asked(2), asked(2)]), 0, tmp_path / "examples.arrow")
