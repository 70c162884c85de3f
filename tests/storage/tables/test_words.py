"""The full-text index of a chunk table."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from planted import TABLE, grow

from storage.hashing import digest
from storage.tables import chunks
from storage.tables.chunks import ChunkTable
from storage.tables.index import build, extend, statistics
from storage.tables.store import Store
from storage.tables.words import build_text, drop_text, extend_text, matching, text_statistics


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def worded(store: Store) -> tuple[int, int, int, int]:
    """What the full-text index holds: rows, rows that are not in it, texts, parts."""
    found = text_statistics(ChunkTable(store, TABLE))
    assert found is not None
    return found.indexed, found.unindexed, found.documents, found.parts


def test_a_full_text_index_grows_by_parts_that_are_merged_and_counts_what_is_gone(store: Store) -> None:
    grow(store, 40)
    assert text_statistics(ChunkTable(store, TABLE)) is None
    build_text(store, TABLE, "icu")
    assert worded(store) == (40, 0, 40, 1)
    chunks.delete(store, TABLE, ids=[digest(f"0-{number}") for number in range(10)])
    grow(store, 5, seed=1)
    assert worded(store) == (30, 5, 40, 1)
    extend_text(store, TABLE, "icu")
    assert worded(store) == (35, 0, 45, 2)
    found = text_statistics(ChunkTable(store, TABLE))
    assert found is not None
    assert (found.tokenizer, found.coverage, found.dead) == ("icu", 1.0, pytest.approx(10 / 45))
    extend_text(store, TABLE, "icu", merge=2)
    assert worded(store)[:2] == (35, 0)
    assert worded(store)[3] == 1


def test_merging_the_newest_parts_leaves_older_ones_as_they_are_though_rows_of_them_are_gone(store: Store) -> None:
    def parts() -> list[str]:
        return [part.uuid for index in ChunkTable(store, TABLE).dataset.describe_indices() for part in index.segments]

    grow(store, 200)
    build_text(store, TABLE, "simple")
    for seed in range(1, 5):
        grow(store, 10, seed)
        extend_text(store, TABLE, "simple")
        chunks.delete(store, TABLE, ids=[digest(f"0-{seed}"), digest(f"{seed}-0")])
    chunks.delete(store, TABLE, ids=[digest(f"3-{number}") for number in range(10)])  # a part of which no row is left
    grow(store, 5, seed=5)
    before = parts()
    extend_text(store, TABLE, "simple", merge=1)
    assert (before[:3], worded(store)) == (parts()[:3], (228, 0, 234, 4))
    table = ChunkTable(store, TABLE)
    found = matching(table, "tide", 1_000, ["id"])["id"].to_pylist()
    assert sorted(found) == sorted(pl.concat(table.columns(["id"]))["id"])
    extend_text(store, TABLE, "simple", merge=3)
    assert (before[:1], worded(store)) == (parts()[:1], (228, 0, 232, 2))


def test_extending_one_index_leaves_the_other_as_it_is(store: Store) -> None:
    build(store, TABLE, grow(store, 300)[:8])
    build_text(store, TABLE, "simple")
    grow(store, 50, seed=1)
    extend(store, TABLE)
    found = statistics(ChunkTable(store, TABLE))
    assert found is not None
    assert (found.indexed, worded(store)) == (350, (300, 50, 300, 1))
    extend_text(store, TABLE, "simple")
    assert statistics(ChunkTable(store, TABLE)) == found
    assert worded(store) == (350, 0, 350, 2)
    drop_text(store, TABLE)
    assert text_statistics(ChunkTable(store, TABLE)) is None
    assert statistics(ChunkTable(store, TABLE)) == found


def test_the_rows_that_share_most_words_come_first(store: Store) -> None:
    grow(store, 12)
    build_text(store, TABLE, "icu")
    table = ChunkTable(store, TABLE)
    found = matching(table, "tides 0 (11", 3, ["text"]).to_pylist()
    assert found[0]["text"] == "tide 0 11"
    assert [row["_score"] for row in found] == sorted((row["_score"] for row in found), reverse=True)
    assert matching(table, "\ud800 moon", 3, ["id"]).num_rows == 0
