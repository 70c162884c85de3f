"""A chunk table: written, read by document, and taken back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from storage.errors import TableMissing
from storage.hashing import digest, document_key
from storage.tables import chunks
from storage.tables.chunks import PLACE, ChunkTable, Span
from storage.tables.store import Store

TABLE = "chunks__t"
DIMENSION = 3


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def pieces(*names: str) -> tuple[pl.DataFrame, np.ndarray]:
    """Two chunks of each document, with vectors that count up."""
    rows = [
        {
            "id": digest(f"{name}{number}"),
            "key": document_key("notes", name),
            "source": "notes",
            "document": name,
            "ordinal": number,
            "start": number,
            "end": number + 1,
            "unit": "characters",
            "tokens": 1,
            "hash": digest(name),
            "text": name,
        }
        for name in names
        for number in range(2)
    ]
    return pl.DataFrame(rows), np.arange(len(rows) * DIMENSION, dtype=np.float32).reshape(-1, DIMENSION)


def fill(store: Store, *names: str) -> ChunkTable:
    chunks.append(store, TABLE, DIMENSION, [pieces(name) for name in names])
    return ChunkTable(store, TABLE)


def held(table: ChunkTable) -> list[str]:
    return [name for part in table.columns(["document"]) for name in part["document"]]


def test_chunks_are_read_in_the_order_in_which_they_were_written(store: Store) -> None:
    table = fill(store, "a", "b")
    assert (table.rows, table.dimension, held(table)) == (4, DIMENSION, ["a", "a", "b", "b"])
    vectors = np.concatenate(list(table.vectors()))
    np.testing.assert_array_equal(vectors, np.concatenate([pieces("a")[1], pieces("b")[1]]))
    np.testing.assert_array_equal(table.take([3, 0]), vectors[[3, 0]])


def test_the_chunks_of_some_documents_are_found_by_their_keys(store: Store) -> None:
    table = fill(store, "a", "b", "c")
    found = table.of([document_key("notes", name) for name in ("a", "c", "none")], ["document", *PLACE])
    assert found["document"].to_list() == ["a", "a", "c", "c"]
    assert found.columns == ["document", *PLACE]


def test_one_chunk_is_told_without_its_vector(store: Store) -> None:
    table = fill(store, "a")
    assert table.facts(digest("a1")) == pieces("a")[0].row(1, named=True)
    for unknown in (digest("b0"), "", "x' OR true --"):
        with pytest.raises(KeyError):
            table.facts(unknown)


def test_chunks_go_by_their_id_or_with_their_document(store: Store) -> None:
    fill(store, "a", "b", "c")
    assert chunks.delete(store, TABLE, ids=[digest("a0")], keys=[document_key("notes", "b")]) == 3
    assert held(ChunkTable(store, TABLE)) == ["a", "c", "c"]


def test_a_table_goes_back_to_a_version_or_to_nothing(store: Store) -> None:
    before = fill(store, "a")
    fill(store, "b")
    chunks.reset(store, TABLE, DIMENSION, before.version)
    assert held(ChunkTable(store, TABLE)) == ["a", "a"]
    chunks.reset(store, TABLE, DIMENSION, None)
    emptied = ChunkTable(store, TABLE)
    assert emptied.rows == 0
    chunks.reset(store, TABLE, DIMENSION, None)
    assert ChunkTable(store, TABLE).version == emptied.version  # nothing to let go is no version


def test_a_table_or_version_that_is_not_there_is_named(store: Store) -> None:
    with pytest.raises(TableMissing, match="there is no table 'chunks__t'"):
        ChunkTable(store, TABLE)
    fill(store, "a")
    with pytest.raises(TableMissing, match="at version rel-1"):
        ChunkTable(store, TABLE, "rel-1")


def test_a_span_says_its_unit() -> None:
    assert Span(4, 8).of("The tide") == "tide"
    assert Span(0.5, 2.5, "seconds").start == 0.5
    with pytest.raises(ValueError, match="a span of seconds has no text"):
        Span(0.5, 2.5, "seconds").of("The tide")
