"""Exact search of many questions: what numpy finds by comparing all with all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from storage.hashing import digest
from storage.tables import chunks
from storage.tables.chunks import ChunkTable
from storage.tables.store import Store
from tasks.search import exact
from tasks.search.exact import FOUND, nearest_exact

TABLE = "chunks__t"
DIMENSION = 8


def table(folder: Path, vectors: np.ndarray) -> ChunkTable:
    """A table of these vectors; three chunks a document."""
    plain = dict.fromkeys(chunks.chunks_schema(DIMENSION).names[:-1], "")
    plain |= {"ordinal": 0, "start": 0, "end": 1, "tokens": 1}
    rows = [plain | {"id": digest(f"{n}"), "key": digest(f"document {n // 3}")} for n in range(len(vectors))]
    store = Store(folder / "store")
    store.ensure(TABLE, chunks.chunks_schema(DIMENSION))
    if rows:
        chunks.append(store, TABLE, DIMENSION, [(pl.DataFrame(rows).select(plain.keys()), vectors)])
    return ChunkTable(store, TABLE)


def compared(vectors: np.ndarray, queries: np.ndarray, k: int, documents: set[str]) -> list[tuple[int, str]]:
    """Compare all with all: query and id, best first, of equal scores the smaller id."""
    found = []
    for number, query in enumerate(queries):
        scores = [
            (-round(float(vector.astype(np.float64) @ query), exact.DIGITS), digest(f"{n}"))
            for n, vector in enumerate(vectors)
            if digest(f"document {n // 3}") in documents
        ]
        found += [(number, chunk) for _, chunk in sorted(scores)[:k]]
    return found


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[np.ndarray, ChunkTable]]:
    """Tables of no, few and many rows, most of which are equal to others."""
    several, random = unit(6), np.random.default_rng(4)
    picked = [several[random.integers(0, 6, rows)] for rows in (0, 2, 40)]
    return [(vectors, table(tmp_path_factory.mktemp("made"), vectors)) for vectors in picked]


def unit(rows: int) -> np.ndarray:
    """Vectors of unit length, the same ones each time."""
    vectors = np.random.default_rng(3).normal(size=(rows, DIMENSION)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@settings(max_examples=40, deadline=None)
@example(which=2, asked=[6], k=18, some=True, sizes=(2, 1))  # in float32 equal vectors have other scores
@given(
    which=st.integers(0, 2),
    asked=st.lists(st.integers(0, 7), min_size=1, max_size=4),
    k=st.integers(1, 45),
    some=st.booleans(),
    sizes=st.tuples(st.integers(1, 50), st.integers(1, 3)),
)
def test_it_finds_what_comparing_all_with_all_finds_also_among_equal_vectors(
    tables: list[tuple[np.ndarray, ChunkTable]],
    which: int,
    asked: list[int],
    k: int,
    some: bool,
    sizes: tuple[int, int],
) -> None:
    (vectors, made), queries = tables[which], unit(8)[asked]
    every = {digest(f"document {n}") for n in range(14)}
    fit = {digest(f"document {n}") for n in range(0, 14, 2)} if some else every
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact, "SLICE", sizes[0])
        patch.setattr(exact, "BLOCK", sizes[1])
        found = nearest_exact(made, queries, k, keys=pl.Series(sorted(fit)) if some else None)
    assert found.schema == FOUND
    assert [*found.select("query", "id").iter_rows()] == compared(vectors, queries, k, fit)
    for query, group in found.group_by("query"):
        assert group["score"].to_list() == sorted(group["score"], reverse=True), query


def test_a_vector_that_is_not_finite_is_never_found_and_one_of_another_length_is_scaled(tmp_path: Path) -> None:
    vectors = np.eye(DIMENSION, dtype=np.float32)
    vectors[1] = np.nan
    vectors[2] *= 7
    found = nearest_exact(table(tmp_path, vectors), np.eye(DIMENSION, dtype=np.float32)[2:3], 20)
    assert found.height == DIMENSION - 1
    assert found.row(0) == (0, digest("2"), digest("document 0"), 1.0)


def test_no_question_finds_nothing(tmp_path: Path) -> None:
    made = table(tmp_path, np.eye(DIMENSION, dtype=np.float32))
    assert nearest_exact(made, np.empty((0, DIMENSION), np.float32), 3).is_empty()
    assert nearest_exact(made, np.eye(DIMENSION, dtype=np.float32), 3, keys=pl.Series([], dtype=pl.String)).is_empty()
