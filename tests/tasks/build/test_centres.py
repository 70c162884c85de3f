"""The centres of a vector index, and what an index of them finds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from planted import DIMENSION, TABLE, plant

from storage.tables.chunks import ChunkTable
from storage.tables.index import build
from storage.tables.roles import IndexFacts, Precision
from storage.tables.store import Store
from tasks.build import centres as module
from tasks.build.centres import centres
from tasks.build.recall import Probes

HEAPS = 12


def heaps(count: int, seed: int = 0) -> np.ndarray:
    """Unit vectors around a dozen middles, a heap after the other, as sources lie in a table."""
    draws = np.random.default_rng(seed)
    middles = np.random.default_rng(99).normal(size=(HEAPS, DIMENSION))
    made = np.repeat(middles, count // HEAPS, axis=0) + draws.normal(0, 0.3, (count // HEAPS * HEAPS, DIMENSION))
    return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True), dtype=np.float32)


def written(base: Path, vectors: np.ndarray, precision: Precision = "float32") -> ChunkTable:
    """A table of some vectors."""
    store = Store(base / "store")
    plant(store, vectors, precision=precision)
    return ChunkTable(store, TABLE)


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_an_index_of_them_finds_what_lies_near(tmp_path: Path, precision: Precision) -> None:
    """One cell of twelve holds most of the neighbours, where cells drawn blindly would hold a twelfth."""
    table = written(tmp_path, heaps(1_200), precision)
    store = Store(tmp_path / "store")
    build(store, TABLE, centres(table, HEAPS), "flat")
    probes, table = Probes.of(table, 50), ChunkTable(store, TABLE)
    assert probes.recall(table, IndexFacts("IVF_FLAT", nprobes=1, refine_factor=1)) > 0.7
    assert probes.recall(table, IndexFacts("IVF_FLAT", nprobes=HEAPS, refine_factor=1)) > 0.99


def test_rows_are_drawn_from_all_parts_and_no_more_than_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = written(tmp_path, heaps(1_200))
    asked: list[int] = []
    take = ChunkTable.take
    monkeypatch.setattr(ChunkTable, "take", lambda self, at: (asked.extend(at), take(self, at))[1])
    monkeypatch.setattr(module, "BLOCK", 50)
    centres(table, 3)
    assert len(set(asked)) == len(asked) == 3 * module.TRAINED
    assert np.bincount(np.array(asked) // 100, minlength=HEAPS).min() == 16
    asked.clear()
    monkeypatch.setattr(module, "MEMORY", 90 * 4 * DIMENSION)
    centres(table, 3)
    assert len(asked) == 90


def test_what_is_not_finite_is_left_out(tmp_path: Path) -> None:
    vectors = heaps(120)
    vectors[::2] = np.nan
    table = written(tmp_path, vectors)
    found = centres(table, 100)
    assert found.shape == (60, DIMENSION) and np.isfinite(found).all()
    vectors[:] = np.inf
    assert centres(written(tmp_path / "broken", vectors), 8).shape == (0, DIMENSION)


def test_the_same_table_gives_the_same(tmp_path: Path) -> None:
    table = written(tmp_path, heaps(600))
    np.testing.assert_array_equal(centres(table, 8), centres(table, 8))
