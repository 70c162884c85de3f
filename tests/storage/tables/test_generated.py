"""The table of generated questions."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from storage.hashing import digest
from storage.tables.generated import Generated
from storage.tables.store import Store

NOW = datetime(2026, 1, 31, 2, 0, tzinfo=UTC)


def asked(**questions: str) -> pl.DataFrame:
    rows = [{"key": digest(f"k{name}"), "content_hash": name, "question": text} for name, text in questions.items()]
    return pl.DataFrame(rows, schema=dict.fromkeys(["key", "content_hash", "question"], pl.String))


def test_a_passage_has_one_question_of_each_model(tmp_path: Path) -> None:
    table = Generated(Store(tmp_path / "store"))
    assert table.all().is_empty()
    table.add(asked(), model="m", run="r", now=NOW)
    table.add(asked(a="what is a?", b=""), model="m", run="r", now=NOW)
    table.add(asked(a="who is a?"), model="m", run="r2", now=NOW)
    table.add(asked(a="why a?"), model="other", run="r2", now=NOW)
    assert dict(table.all("m").select("content_hash", "question").iter_rows()) == {"a": "who is a?", "b": ""}
    assert table.all().height == 3


def test_what_was_written_for_a_document_can_be_forgotten(tmp_path: Path) -> None:
    table = Generated(Store(tmp_path / "store"))
    assert table.forget([digest("ka")]) == 0
    table.add(asked(a="what is a?", b="what is b?"), model="m", run="r", now=NOW)
    assert table.forget([digest("ka")]) == 1
    assert table.all()["question"].to_list() == ["what is b?"]
