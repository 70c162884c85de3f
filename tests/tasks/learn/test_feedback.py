"""Logs of searches."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from storage.errors import InputError
from tasks.learn.feedback import Feedback, read_feedback

LEDGER = pl.DataFrame(
    [
        ("k1", "notes", "a.md", None),
        ("k2", "notes", "b.md", None),
        ("k3", "notes", "c.md", "k2"),
        ("k4", "mail", "a.md", None),
        ("k5", "mail", "d", None),
    ],
    schema=dict.fromkeys(["key", "source", "id", "duplicate_of"], pl.String),
    orient="row",
)


def log(folder: Path, *rows: object) -> Path:
    file = folder / "log.jsonl"
    file.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return file


def asked(feedback: Feedback) -> list[tuple[str, str, int, float]]:
    return feedback.asked.select("question", "key", "grade", "weight").rows()


def test_a_click_is_an_answer_and_what_stood_above_it_is_none(tmp_path: Path) -> None:
    rows = [
        {"query": "when is\nebb", "shown": ["b.md", "d", "a.md"], "clicked": "d"},
        {"query": "when is ebb", "shown": ["b.md", "d"], "clicked": ["d"], "at": "noon"},
        {"query": "nothing was clicked", "shown": ["b.md"], "clicked": None},
        {"query": "only a click", "clicked": ["b.md"]},
    ]
    found = read_feedback([log(tmp_path, *rows)], LEDGER)
    assert asked(found) == [
        ("only a click", "k2", 1, 1.0),
        ("when is ebb", "k2", 0, 1.0),
        ("when is ebb", "k5", 1, 2.0),
    ]
    assert (found.malformed, found.unknown, found.notes) == (0, 0, ())


def test_what_was_clicked_once_is_never_a_wrong_answer(tmp_path: Path) -> None:
    rows = [{"query": "q", "shown": ["b.md", "d"], "clicked": "d"}, {"query": "q", "clicked": "b.md"}]
    assert asked(read_feedback([log(tmp_path, *rows)], LEDGER)) == [("q", "k2", 1, 1.0), ("q", "k5", 1, 1.0)]


def test_documents_that_are_gone_or_not_one_are_counted(tmp_path: Path) -> None:
    rows = [
        {"query": "q", "clicked": ["gone.md", "a.md", "c.md"]},
        {"query": "r", "clicked": ["a.md", "d"], "source": "notes"},
    ]
    found = read_feedback([log(tmp_path, *rows)], LEDGER)
    assert asked(found) == [("q", "k2", 1, 1.0), ("r", "k1", 1, 1.0)]
    assert found.unknown == 3


def test_malformed_lines_are_counted_and_told(tmp_path: Path) -> None:
    file = log(tmp_path, "{", {"query": " "}, "", [1], {"query": "q", "clicked": 3}, {"query": "q", "clicked": "d"})
    found = read_feedback([file], LEDGER)
    assert found.malformed == 4
    assert found.notes[0].startswith(f"{file}, line 1: not valid JSON")
    assert found.notes[1] == f"{file}, line 2: `query` is no text; the line was left out"
    assert found.notes[2] == f"{file}, line 4: not a JSON object; the line was left out"
    assert found.notes[3] == f"{file}: 4 lines were left out"
    assert asked(found) == [("q", "k5", 1, 1.0)]


def test_a_log_may_be_parquet(tmp_path: Path) -> None:
    file = tmp_path / "log.parquet"
    rows = [{"query": "q", "shown": ["b.md", "d"], "clicked": "d"}, {"query": None, "shown": [], "clicked": "d"}]
    pl.DataFrame(rows).write_parquet(file)
    found = read_feedback([file], LEDGER)
    assert asked(found) == [("q", "k2", 0, 1.0), ("q", "k5", 1, 1.0)]
    assert found.notes == (f"{file}, row 2: `query` is no text; the line was left out",)


def test_a_log_that_is_not_there_is_wrong_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_feedback([tmp_path / "none.jsonl"], LEDGER)
    broken = tmp_path / "broken.parquet"
    broken.write_text("no parquet")
    with pytest.raises(InputError, match="is no Parquet"):
        read_feedback([broken], LEDGER)
