"""The vector index of a chunk table, and tables kept compact."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from planted import TABLE, grow

from storage.hashing import digest
from storage.tables import chunks
from storage.tables import index as module
from storage.tables.chunks import ChunkTable
from storage.tables.index import build, compact, extend, nearest, partitions, statistics
from storage.tables.roles import IndexFacts
from storage.tables.store import Store

FACTS = IndexFacts("IVF_RQ", nprobes=8, refine_factor=60)  # every row is compared again


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_an_index_has_half_the_root_of_the_rows_in_cells() -> None:
    assert [partitions(rows) for rows in (0, 1, 256, 10_000, 1_000_000)] == [1, 1, 8, 50, 500]


def test_an_index_is_built_extended_and_measured(store: Store) -> None:
    vectors = grow(store, 300)
    assert statistics(ChunkTable(store, TABLE)) is None
    build(store, TABLE, vectors[:8])
    found = statistics(ChunkTable(store, TABLE))
    assert found is not None
    assert (found.partitions, found.indexed, found.unindexed, found.coverage) == (8, 300, 0, 1.0)
    grow(store, 100, seed=1)
    found = statistics(ChunkTable(store, TABLE))
    assert found is not None
    assert (found.unindexed, found.coverage) == (100, 0.75)
    extend(store, TABLE)
    found = statistics(ChunkTable(store, TABLE))
    assert found is not None
    assert (found.indexed, found.coverage) == (400, 1.0)


def test_the_nearest_rows_come_best_first_with_and_without_the_index(store: Store) -> None:
    vectors = grow(store, 300)
    build(store, TABLE, vectors[:8])
    table = ChunkTable(store, TABLE)
    wanted = np.argsort(-(vectors @ vectors[7]), kind="stable")[:5]
    for index in (None, FACTS):
        found = nearest(table, vectors[7], 5, ["id"], index)
        assert found["id"].to_pylist() == [digest(f"0-{number}") for number in wanted]
        np.testing.assert_allclose(found["_distance"].to_numpy(), 1 - vectors[wanted] @ vectors[7], atol=1e-5)


def test_a_table_is_rewritten_only_where_it_pays(store: Store) -> None:
    for seed in range(4):
        grow(store, 2, seed)
    compact(store, TABLE, fragments=4, dead=0.25)
    assert len(ChunkTable(store, TABLE).dataset.get_fragments()) == 4
    compact(store, TABLE, fragments=3, dead=0.25)
    assert len(ChunkTable(store, TABLE).dataset.get_fragments()) == 1
    version = ChunkTable(store, TABLE).version
    chunks.delete(store, TABLE, ids=[digest("0-0"), digest("0-1")])
    compact(store, TABLE, fragments=3, dead=0.25)
    assert ChunkTable(store, TABLE).version == version + 1  # a quarter is dead, and not more
    chunks.delete(store, TABLE, ids=[digest("1-0")])
    compact(store, TABLE, fragments=3, dead=0.25)
    table = ChunkTable(store, TABLE)
    assert (table.rows, sum(fragment.num_deletions for fragment in table.dataset.get_fragments())) == (5, 0)


def test_of_many_files_only_the_small_ones_are_merged(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SMALL", 30)
    monkeypatch.setitem(Store.append.__kwdefaults__, "rows", 40)

    def files() -> dict[str, int]:
        fragments = ChunkTable(store, TABLE).dataset.get_fragments()
        return {file.path: fragment.count_rows() for fragment in fragments for file in fragment.data_files()}

    grow(store, 80)
    large = files()
    assert list(large.values()) == [40, 40]
    for seed in range(1, 5):
        grow(store, 10, seed)
    chunks.delete(store, TABLE, ids=[digest("0-0")])  # one of forty is no reason to write the others again
    compact(store, TABLE, fragments=4, dead=0.25)
    assert len(files()) == 6  # of them four are small
    compact(store, TABLE, fragments=3, dead=0.25)
    merged = files()
    assert sorted(merged.values()) == [39, 40, 40]
    assert large.keys() < merged.keys()
    assert ChunkTable(store, TABLE).rows == 119
