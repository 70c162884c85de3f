"""Finished vectors, found again by content hash."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from drafts import drafted
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.hashing import digest
from storage.tables.chunks import chunks_schema
from storage.tables.looked import Looked
from storage.tables.releases import Releases
from storage.tables.roles import chunks_table
from storage.tables.store import Store
from storage.tables.vectors import EmbeddingCache, as_vectors, stage_vectors, vectors_schema, vectors_table

SPACE = "ab" * 16
SCHEMA = vectors_schema(3)


def vector(number: int, place: int = 0) -> list[float]:
    return [float(number), float(place), 1.0]


def shelve(store: Store, name: str, numbers: list[int], place: int = 0) -> Any:
    """A table with these contents, in two appends so that it has two files."""
    half = len(numbers) // 2
    for part in (numbers[:half], numbers[half:]):
        rows = [{"key": None, "hash": digest(str(number)), "vector": vector(number, place)} for number in part]
        store.append(name, SCHEMA, [pa.RecordBatch.from_pylist(rows, schema=SCHEMA)] if rows else [])
    return store.open(name)


def hashes(numbers: list[int]) -> pl.Series:
    return pl.Series([digest(str(number)) for number in numbers], dtype=pl.String)


SHELF = st.tuples(st.lists(st.integers(0, 30), max_size=12), st.sets(st.integers(0, 30), max_size=6))


@settings(max_examples=25, deadline=None)
@given(cache=st.lists(SHELF, min_size=1, max_size=3), asked=st.lists(st.integers(0, 35), max_size=15))
def test_every_shelf_gives_back_what_was_stored_whatever_was_deleted(
    tmp_path_factory: pytest.TempPathFactory,
    cache: list[tuple[list[int], set[int]]],
    asked: list[int],
) -> None:
    store = Store(tmp_path_factory.mktemp("store"))
    first: dict[int, int] = {}
    opened = []
    for number, (content, deleted) in enumerate(cache):
        name = f"t{number}"
        shelve(store, name, content, number)
        store.delete_keys(name, "hash", hashes(sorted(deleted)))
        opened.append(store.ensure(name, SCHEMA))
        for one in set(content) - deleted:
            first.setdefault(one, number)  # the first place that has it is asked

    found = EmbeddingCache(opened)
    missing = found.locate(hashes(asked))

    assert missing.to_list() == hashes([n for n in dict.fromkeys(asked) if n not in first]).to_list()
    there = [number for number in asked if number in first]
    np.testing.assert_array_equal(
        found.take(hashes(there)), np.array([vector(n, first[n]) for n in there], np.float32).reshape(-1, 3)
    )


NIGHT = st.tuples(st.lists(st.integers(0, 40), max_size=6), st.sets(st.integers(0, 40), max_size=4))


@settings(max_examples=20, deadline=None)
@given(nights=st.lists(NIGHT, min_size=1, max_size=6), asked=st.lists(st.integers(0, 45), max_size=15))
def test_versions_of_one_table_are_looked_through_once_but_for_what_differs(
    tmp_path_factory: pytest.TempPathFactory, nights: list[tuple[list[int], set[int]]], asked: list[int]
) -> None:
    store = Store(tmp_path_factory.mktemp("store"))
    versions, held, ever = [], list[int](), set[int]()
    for new, gone in nights:
        shelve(store, "t", new)
        store.delete_keys("t", "hash", hashes(sorted(gone)))
        versions.append(store.ensure("t", SCHEMA))
        held = [number for number in held + new if number not in gone]
        ever |= set(held)
    found = EmbeddingCache(versions[::-1])
    missing = found.locate(hashes(asked))
    assert missing.to_list() == hashes([n for n in dict.fromkeys(asked) if n not in ever]).to_list()
    there = [number for number in asked if number in ever]
    np.testing.assert_array_equal(
        found.take(hashes(there)), np.array([vector(n) for n in there], np.float32).reshape(-1, 3)
    )


def test_what_releases_share_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, read = Store(tmp_path), list[int]()
    versions = [shelve(store, "t", list(range(start, start + 10))) for start in range(0, 100, 10)]

    def counted(*arguments: Any) -> Any:
        for offsets, batch in rest(*arguments):
            read.append(batch.num_rows)
            yield offsets, batch

    rest = Looked.rest
    monkeypatch.setattr(Looked, "rest", counted)
    for at in range(0, 100, 7):  # an older release has them still
        store.delete_keys("t", "hash", hashes([at]))
        versions.append(store.open("t"))
    EmbeddingCache(versions[::-1]).locate(hashes([999]))
    assert sum(read) == 100


def test_locating_again_adds_to_what_is_known(tmp_path: Path) -> None:
    found = EmbeddingCache([shelve(Store(tmp_path), "t", [1, 2, 3])])
    assert found.locate(hashes([1])).to_list() == []
    assert found.locate(hashes([1, 3, 9])).to_list() == hashes([9]).to_list()
    np.testing.assert_array_equal(found.take(hashes([3, 1, 3])), [vector(3), vector(1), vector(3)])


def test_a_hash_that_was_never_located_is_named(tmp_path: Path) -> None:
    found = EmbeddingCache([shelve(Store(tmp_path), "t", [1])])
    found.locate(hashes([1, 2]))
    with pytest.raises(KeyError, match=f"holds the vector of {digest('2')}"):
        found.take(hashes([1, 2]))


def test_no_shelf_holds_nothing() -> None:
    assert EmbeddingCache([]).locate(hashes([1, 1, 2])).to_list() == hashes([1, 2]).to_list()


def chunks(store: Store, numbers: list[int], place: int) -> int:
    """Append chunks to the space's table; returns its version."""
    schema = chunks_schema(3)
    blank = dict.fromkeys(schema.names)
    rows = [blank | {"id": digest(f"{place}-{n}"), "hash": digest(str(n)), "vector": vector(n, place)} for n in numbers]
    table = chunks_table(SPACE)
    store.append(table, schema, [pa.RecordBatch.from_pylist(rows, schema=schema)])
    return int(store.open(table).version)


def test_retained_releases_come_before_staged_vectors_and_other_spaces_never(tmp_path: Path) -> None:
    store = Store(tmp_path)
    table = chunks_table(SPACE)
    releases = Releases(store)
    releases.publish(0, drafted({table: chunks(store, [1], 1)}, space=SPACE))
    store.open(table).delete("true")
    releases.publish(1, drafted({table: chunks(store, [2], 2)}, space=SPACE))
    stage_vectors(store, SPACE, hashes([1, 3]), hashes([7, 7]), np.array([vector(1, 9), vector(3, 9)], np.float32))
    stage_vectors(store, "cd" * 16, hashes([4]), hashes([7]), np.array([vector(4, 9)], np.float32))
    chunks(store, [5], 5)  # of a run that did not end: not published, perhaps half written

    found = EmbeddingCache.of(store, SPACE)

    assert found.locate(hashes([1, 2, 3, 4, 5])).to_list() == hashes([4, 5]).to_list()
    np.testing.assert_array_equal(found.take(hashes([1, 2, 3])), [vector(1, 1), vector(2, 2), vector(3, 9)])


def test_an_expired_release_is_no_shelf(tmp_path: Path) -> None:
    store = Store(tmp_path)
    table = chunks_table(SPACE)
    releases = Releases(store)
    releases.publish(0, drafted({table: chunks(store, [1], 1)}, space=SPACE))
    store.open(table).delete("true")
    releases.publish(1, drafted({table: chunks(store, [2], 2)}, space=SPACE))
    releases.expire(1)
    assert EmbeddingCache.of(store, SPACE).locate(hashes([1, 2])).to_list() == hashes([1]).to_list()


def test_staged_vectors_are_durable_at_once(tmp_path: Path) -> None:
    vectors = np.arange(6, dtype=np.float64).reshape(2, 3)[:, ::-1]  # neither float32 nor contiguous
    stage_vectors(Store(tmp_path), SPACE, hashes([1, 2]), hashes([7, 8]), vectors)
    table = Store(tmp_path).open(vectors_table(SPACE)).to_table()
    assert table["hash"].to_pylist() == hashes([1, 2]).to_list()
    assert table["key"].to_pylist() == hashes([7, 8]).to_list()
    np.testing.assert_array_equal(as_vectors(table["vector"]), vectors.astype(np.float32))


def test_chunks_and_slices_of_a_column_become_one_array() -> None:
    whole = pa.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], pa.list_(pa.float32(), 2))
    np.testing.assert_array_equal(as_vectors(whole.slice(1)), [[3, 4], [5, 6]])
    np.testing.assert_array_equal(as_vectors(pa.chunked_array([whole[:1], whole[:0], whole[2:]])), [[1, 2], [5, 6]])
    assert as_vectors(whole[:0]).shape == (0, 2)


def test_a_staged_vector_that_was_changed_or_moved_is_passed_over(tmp_path: Path) -> None:
    store, names = Store(tmp_path), hashes([1, 2, 3, 4])
    stage_vectors(store, SPACE, names, names, np.array([vector(number) for number in range(1, 5)]))
    table = vectors_table(SPACE)
    rows = store.open(table).to_table().to_pylist()
    rows[0]["vector"][1] += 1e-6
    rows[1]["vector"], rows[2]["vector"] = rows[2]["vector"], rows[1]["vector"]
    store.replace(table, SCHEMA, [pa.RecordBatch.from_pylist(rows, schema=SCHEMA)])
    cache = EmbeddingCache.of(store, SPACE, released=False)
    assert cache.locate(names).to_list() == hashes([1, 2, 3]).to_list()
    stage_vectors(store, SPACE, names[:1], names[:1], np.array([vector(1)]))  # embedded again
    cache = EmbeddingCache.of(store, SPACE, released=False)
    assert cache.locate(names[:1]).is_empty()
    assert cache.take(names[:1]).tolist() == [vector(1)]


def test_what_an_older_version_staged_is_taken_as_it_is(tmp_path: Path) -> None:
    store, older = Store(tmp_path), SCHEMA.remove(SCHEMA.get_field_index("seal"))
    row = {"key": None, "hash": digest("1"), "vector": vector(1)}
    store.append(vectors_table(SPACE), older, [pa.RecordBatch.from_pylist([row], schema=older)])
    assert EmbeddingCache.of(store, SPACE, released=False).locate(hashes([1])).is_empty()
    stage_vectors(store, SPACE, hashes([2]), hashes([2]), np.array([vector(2)]))
    assert EmbeddingCache.of(store, SPACE, released=False).locate(hashes([1, 2])).is_empty()


def test_what_is_sealed_by_another_digest_is_embedded_again(tmp_path: Path) -> None:
    store, name = Store(tmp_path), digest("1")
    raw = np.array(vector(1), dtype=np.float32).tobytes()
    row = {"key": name, "hash": name, "vector": vector(1), "seal": digest(name.encode() + raw)}
    store.append(vectors_table(SPACE), SCHEMA, [pa.RecordBatch.from_pylist([row], schema=SCHEMA)])
    assert EmbeddingCache.of(store, SPACE, released=False).locate(hashes([1])).to_list() == hashes([1]).to_list()


def test_to_locate_staged_vectors_holds_none_of_them(tmp_path: Path) -> None:
    code = """
        import sys
        import numpy as np
        import polars as pl
        from flows.environment import set_up
        set_up()
        from models import memory
        memory.ENOUGH = 0
        from storage.tables.store import Store
        from storage.tables.vectors import EmbeddingCache, stage_vectors
        def resident():
            memory.trim_memory()  # what is free is not held
            return int(open("/proc/self/statm").read().split()[1]) * 4096 // 2**20
        store, space, names = Store(sys.argv[1]), "ab" * 16, pl.Series([f"{at:032x}" for at in range(120_000)])
        vectors = np.random.default_rng(0).random((20_000, 384), dtype=np.float32)
        for at in range(0, len(names), 20_000):
            stage_vectors(store, space, names[at : at + 20_000], names[at : at + 20_000], vectors)
        before, cache = resident(), EmbeddingCache.of(store, space)
        print(len(cache.locate(names)), resident() - before)
        """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "store")]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout
    lacking, grown = map(int, said.split())
    # Of the 176 MiB of vectors; some 100 MiB are what Lance reads ahead, whatever the number of rows.
    assert (lacking, grown < 170) == (0, True), f"{grown} MiB more"
