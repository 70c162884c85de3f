"""The log of queries: appended by many, read once each, and forgotten."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from storage.tables.queries import Position, Queries, Query, QueryFiles
from storage.tables.store import Store

NOW = datetime(2026, 1, 31, 2, tzinfo=UTC)
SPACE = "ab" * 16


def query(number: int, *, vector: bool = True, text: str | None = None) -> Query:
    made = np.full(4, number, dtype=np.float32) if vector else None
    time = NOW - timedelta(days=number)
    return Query(f"q{number}", time, 1, "search", "dense", 0.5, 3, ("k",), None, text, None, made)


@pytest.fixture
def queries(tmp_path: Path) -> Queries:
    return Queries(Store(tmp_path / "store"), SPACE)


def test_a_log_that_is_not_there_is_empty(queries: Queries) -> None:
    assert queries.read().frame.is_empty()
    assert queries.forget(NOW, 10) == 0
    queries.add([], 4)
    assert queries.store.tables() == []


def test_queries_come_back_once_each_with_their_vectors_oldest_first(queries: Queries) -> None:
    queries.add([query(2), query(0, vector=False)], 4)
    queries.add([query(1, text="tide"), query(2)], 4)  # as a run writes it that was killed before
    found = queries.read()
    assert found.frame.select("id", "text", "encoded").rows() == [
        ("q2", None, True),
        ("q1", "tide", True),
        ("q0", None, False),
    ]
    rows = found.frame.filter("encoded")["row"]
    assert found.vectors(rows)[:, 0].tolist() == [2, 1]
    assert found.vectors(rows.reverse())[:, 0].tolist() == [1, 2]


def test_the_old_and_the_oldest_beyond_a_number_go_and_leave_no_bytes(queries: Queries, tmp_path: Path) -> None:
    for at in range(0, 8, 2):
        queries.add([query(at, text=f"secret {at}"), query(at + 1, text=f"secret {at + 1}")], 4)
    assert queries.forget(NOW - timedelta(days=5, seconds=1), 100) == 2
    assert queries.forget(NOW - timedelta(days=365), 3) == 3
    found = queries.read()
    assert found.frame["id"].to_list() == ["q2", "q1", "q0"]
    assert found.vectors(found.frame["row"])[:, 0].tolist() == [2, 1, 0]
    queries.store.vacuum(queries.name, timedelta(0))
    kept = b"".join(file.read_bytes() for file in (tmp_path / "store").rglob("*") if file.is_file())
    assert [f"secret {number}".encode() in kept for number in range(8)] == [True] * 3 + [False] * 5


def test_how_far_a_file_was_read_is_remembered(tmp_path: Path) -> None:
    files = QueryFiles(Store(tmp_path / "store"))
    assert files.all() == {}
    first, later = Position("1:2", "a.jsonl", "ab", 4, 10), Position("1:2", "b.jsonl", "cd", 8, 20)
    files.set({"1:2": first}, NOW)
    files.set({"1:2": later}, NOW)
    assert files.all() == {"1:2": later}
