"""Chunks that are asked for slice by slice are those that a filter finds."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from planted import DIMENSION, TABLE
from polars.testing import assert_frame_equal

from storage.hashing import digest
from storage.tables import chunks, gathered
from storage.tables.chunks import ChunkTable
from storage.tables.gathered import Gathered
from storage.tables.store import Store

COLUMNS = ["id", "key", "ordinal"]


def filled(store: Store, documents: list[int], gone: set[int]) -> ChunkTable:
    """A chunk of some document in each row, some of which are deleted."""
    names = chunks.chunks_schema(DIMENSION).names[:-1]
    plain = dict.fromkeys(names, "") | {"start": 0, "end": 1, "tokens": 1}
    rows = [
        plain | {"id": digest(f"c{at}"), "key": digest(str(document)), "ordinal": at}
        for at, document in enumerate(documents)
    ]
    vectors = np.zeros((len(rows), DIMENSION), np.float32)
    chunks.append(store, TABLE, DIMENSION, [(pl.DataFrame(rows).select(names), vectors)])
    chunks.delete(store, TABLE, ids=[digest(f"c{at}") for at in gone])
    return ChunkTable(store, TABLE)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.integers(0, 8), min_size=1, max_size=30),
    st.sets(st.integers(0, 29), max_size=10),
    st.lists(st.sets(st.integers(0, 9)), max_size=4),
)
def test_each_slice_has_the_chunks_that_a_filter_finds(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    documents: list[int],
    gone: set[int],
    slices: list[set[int]],
) -> None:
    monkeypatch.setattr(gathered, "FEW", 0)
    table = filled(Store(tmp_path_factory.mktemp("s") / "store"), documents, gone)
    every = pl.Series([digest(str(number)) for number in set().union(*slices)], dtype=pl.String)
    found = Gathered(table, every)
    for some in slices:
        keys = pl.Series([digest(str(number)) for number in some], dtype=pl.String)
        assert_frame_equal(found.of(keys, COLUMNS), table.of(keys, COLUMNS))


def test_of_few_documents_a_filter_finds_the_chunks(tmp_path_factory: pytest.TempPathFactory) -> None:
    table = filled(Store(tmp_path_factory.mktemp("s") / "store"), [1, 2, 1], {1})
    keys = pl.Series([digest("1"), digest("2")])
    assert Gathered(table, keys).of(keys, ["ordinal"])["ordinal"].to_list() == [0, 2]
