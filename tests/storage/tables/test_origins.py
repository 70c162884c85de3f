"""Which files rows lie in, and which were written or indexed since."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.tables.columns import key_field
from storage.tables.origins import Origins, data_files, files_at, written_since
from storage.tables.store import Store

SCHEMA = pa.schema([key_field("key", pa.string())])


def filled(folder: str | Path, parts: Iterable[int]) -> Store:
    """A table `t` of one file a part."""
    store, at = Store(folder), 0
    for rows in parts:
        names = pa.array([f"{number:04x}" for number in range(at, at + rows)])
        store.append("t", SCHEMA, [pa.record_batch([names], schema=SCHEMA)])
        at += rows
    return store


@settings(max_examples=15, deadline=None)
@given(parts=st.lists(st.integers(1, 6), min_size=1, max_size=4), data=st.data())
def test_the_files_of_rows_are_those_of_their_addresses(parts: list[int], data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        store = filled(folder, parts)
        names = [f"{number:04x}" for number in range(sum(parts))]
        gone = data.draw(st.sets(st.sampled_from(names), max_size=len(names) - 1))
        store.delete_keys("t", "key", sorted(gone))
        table = store.open("t")
        addresses = table.scanner(columns=[], with_row_address=True).to_table()["_rowaddr"].to_pylist()
        offsets = data.draw(st.sets(st.integers(0, len(addresses) - 1)))
        fragments = {fragment.fragment_id: fragment for fragment in table.get_fragments()}
        wanted = data_files(fragments[addresses[offset] >> 32] for offset in offsets)
        assert files_at(table, offsets) == wanted
        assert Origins.of(table, offsets).files == ({("t", table.version): wanted} if wanted else {})


def test_what_was_written_since_is_told_from_what_was_deleted_since(tmp_path: Path) -> None:
    store = filled(tmp_path, [3, 2])
    older = store.open("t")
    store.delete_keys("t", "key", ["0000"])
    assert written_since(store.open("t"), older) == []
    store.append("t", SCHEMA, [pa.record_batch([pa.array(["ffff"])], schema=SCHEMA)])
    (fresh,) = written_since(store.open("t"), older)
    assert fresh.count_rows() == 1


def test_origins_of_one_table_come_together() -> None:
    left, right = Origins({("t", 1): frozenset("a")}), Origins({("t", 1): frozenset("b"), ("t", 2): frozenset("c")})
    assert (left | right).files == {("t", 1): frozenset("ab"), ("t", 2): frozenset("c")}
