"""Reading what may have changed: hashes, repeated ids, and what is dropped since it is as it was."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from corpus import Scripted, configure, context, item
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.refresh import refresh
from storage.hashing import digest, document_key
from storage.sources import open_source, parse_source
from storage.sources.base import DOCUMENTS
from tasks.ingest.plan import plan
from tasks.ingest.read import Reading, identified, read, readings
from tasks.ingest.scan import listing, scan

PLAIN: dict[str, Any] = {
    "id": "a",
    "text": "The tide.",
    "title": "Tide",
    "metadata": "{}",
    "licence": "MIT",
    "timestamp": datetime(2026, 1, 1, tzinfo=UTC),
    "queries": ["why?"],
    "revision": "r1",
    "problem": None,
}


def hashes(**changes: Any) -> tuple[str, str]:
    row = identified(pl.DataFrame([PLAIN | changes], schema=DOCUMENTS)).row(0, named=True)
    return row["content_hash"], row["record_hash"]


def test_the_content_hash_is_of_the_normalised_text() -> None:
    row = identified(pl.DataFrame([PLAIN | {"text": "\ufeffThe tide.  \r\nIt rises.\n\n"}], schema=DOCUMENTS)).row(
        0, named=True
    )
    assert (row["text"], row["content_hash"]) == ("The tide.\nIt rises.", digest("The tide.\nIt rises."))


@pytest.mark.parametrize(
    ("changes", "content", "record"),
    [
        ({"text": "Another."}, True, False),
        ({"title": None}, False, True),
        ({"metadata": '{"a": 1}'}, False, True),
        ({"licence": None}, False, True),
        ({"queries": []}, False, True),
        ({"timestamp": None}, False, False),
        ({"revision": "r2"}, False, False),
        ({"id": "b"}, False, False),
    ],
)
def test_each_hash_covers_what_it_is_for(changes: dict[str, Any], content: bool, record: bool) -> None:
    before, after = hashes(), hashes(**changes)
    assert (before[0] != after[0], before[1] != after[1]) == (content, record)


ROWS = st.lists(st.sampled_from("abc"), max_size=9)


@settings(max_examples=50, deadline=None)
@given(names=ROWS, cuts=st.lists(st.integers(0, 9), max_size=4), wanted=st.sets(st.integers(0, 8)))
def test_the_nth_listed_row_of_an_id_is_the_nth_that_is_read_however_it_is_sliced(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], cuts: list[int], wanted: set[int]
) -> None:
    base = tmp_path_factory.mktemp("script")
    rows = [{"id": name, "text": f"text {number}"} for number, name in enumerate(names)]
    bounds = [0, *sorted(cuts), len(rows)]
    slices = [rows[a:b] for a, b in pairwise(bounds)]
    Scripted.write(base / "script.json", rows, [*slices, [{"id": "never listed", "text": "?"}]])
    source = open_source(parse_source(Scripted.config()), base)
    listed = listing(source).with_columns(pl.Series("text", [row["text"] for row in rows], dtype=pl.String))
    candidates = listed.filter(pl.Series([number in wanted for number in range(len(rows))], dtype=pl.Boolean))

    read = [row for part in readings(source, candidates) for row in part.select("row", "text").rows()]

    assert sorted(read) == sorted(candidates.select("row", "text").rows())


def test_rows_that_are_broken_as_listed_are_not_read(tmp_path: Path) -> None:
    Scripted.write(
        tmp_path / "script.json", [{"id": "L1", "problem": "line 1: not valid JSON"}, {"id": "a", "text": "A."}]
    )
    source = open_source(parse_source(Scripted.config()), tmp_path)
    parts = list(readings(source, listing(source)))
    told = [part.select("id", "text", "problem", "passing").rows() for part in parts]
    assert told == [[("L1", "", "line 1: not valid JSON", False)], [("a", "A.", None, False)]]


def test_what_did_not_change_is_dropped_and_the_rest_lies_beside_what_the_ledger_holds(tmp_path: Path) -> None:
    config = configure(tmp_path, sources=[Scripted.config()])
    Scripted.write(
        tmp_path / "script.json", [item(name) for name in ("content", "lost", "same", "touched", "vanished")]
    )
    refresh(config)
    changed = [
        item("content", "Another text.", revision="r2"),
        item("lost", "", revision="r2", problem="permission denied"),
        item("new"),
        item("same"),
        item("touched", revision="r2", timestamp="2026-01-01T00:00:00+00:00"),
        item("vanished", revision="r2"),
        item("vanished-too"),
    ]
    there = [row for row in changed if not row["id"].startswith("vanished")]
    Scripted.write(tmp_path / "script.json", [row | {"problem": None} for row in changed], [there])

    with context(config) as shared:
        planned = plan(shared, scan(shared))
        reading: Reading = read(shared, planned)
        columns = ["id", "passing", "old_revision", "judged"]
        rows = pl.concat(reading.documents.slices()).select(columns).rows()
        now = shared.rules_fingerprints["script"]

    assert rows == [("content", False, "r1", now), ("lost", True, "r1", now), ("new", False, None, now)]
    touched = (document_key("script", "touched"), "r2", datetime(2026, 1, 1, tzinfo=UTC))
    assert reading.touched.rows() == [touched]
    assert reading.missing.to_list() == [document_key("script", name) for name in ("vanished", "vanished-too")]
    assert (reading.absent, reading.counts) == (
        1,
        {"read": 3, "touched": 1, "vanished": 2, "untimed": 0, "redacted": 0},
    )


def test_a_night_without_candidates_reads_nothing(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": "The tide."})
    refresh(config)
    with context(config) as shared:
        reading = read(shared, plan(shared, scan(shared)))
        assert list(reading.documents.slices()) == []
    assert reading.counts == {"read": 0, "touched": 0, "vanished": 0, "untimed": 0, "redacted": 0}
