"""Reading what may have changed: hashes, repeated ids, and what the rules let in."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from corpus import Scripted, configure, context, prepared, prose
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.refresh import refresh
from storage.hashing import digest, document_key
from storage.sources import open_source, parse_source
from storage.sources.base import DOCUMENTS
from tasks.curate.validate import identified, readings
from tasks.ingest.scan import listing

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


def test_a_night_is_sorted_into_accepted_refused_touched_and_vanished(tmp_path: Path) -> None:
    def item(name: str, text: str | None = None, **facts: Any) -> dict[str, Any]:
        return {"id": name, "text": prose(name) if text is None else text, **facts}

    config = configure(tmp_path, sources=[Scripted.config()])
    names = ["content", "gone", "lost", "metadata", "same", "spoiled", "touched"]
    Scripted.write(tmp_path / "script.json", [item(name) for name in names])
    refresh(config)
    changed = [
        item("content", "Another text.", revision="r2"),
        item("lost", "", revision="r2", problem="permission denied"),
        item("metadata", title="A title", revision="r2"),
        item("new"),
        item("same"),
        item("spoiled", "\x01", revision="r2"),
        item("touched", revision="r2", timestamp="2026-01-01T00:00:00+00:00"),
        item("vanished"),
    ]
    listed = [row | {"problem": None} for row in changed]
    Scripted.write(tmp_path / "script.json", listed, [[row for row in changed if row["id"] != "vanished"]])

    with context(config) as shared:
        validated = prepared(shared, config).validated
        accepted = {row["id"]: row["cause"] for part in validated.accepted.slices() for row in part.to_dicts()}

    assert accepted == {"content": "content", "metadata": "metadata", "new": "new"}
    assert validated.causes == {"content": 1, "metadata": 1, "new": 1}
    key = {row["id"]: document_key("script", row["id"]) for row in listed}
    assert validated.refused.select("document", "rule", "reason").sort("document").rows() == [
        ("lost", "readable", "permission denied"),
        ("spoiled", "no-control-characters", "holds 1 control characters, the first is U+0001 at character 0"),
    ]
    assert (validated.unreadable.to_list(), validated.refused_keys.to_list()) == ([key["lost"]], [key["spoiled"]])
    assert validated.touched.rows() == [(key["touched"], "r2", datetime(2026, 1, 1, tzinfo=UTC))]
    assert (validated.vanished, validated.absent, validated.judged) == (1, 1, 5)
    assert validated.counts == {"accepted": 3, "refused": 2, "touched": 1, "vanished": 1}


def test_a_night_without_candidates_asks_no_judge(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor")})
    refresh(config)
    with context(config) as shared:
        validated = prepared(shared, config).validated
    assert (validated.validator, validated.verdict, validated.counts) == (
        None,
        None,
        {"accepted": 0, "refused": 0, "touched": 0, "vanished": 0},
    )
