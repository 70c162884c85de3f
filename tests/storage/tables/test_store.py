"""Tables of one store: opened, appended to, merged, restored and vacuumed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier, Thread

import lance
import polars as pl
import pyarrow as pa
import pytest

from storage.errors import InputError
from storage.hashing import digest
from storage.tables import offsets
from storage.tables.columns import key_field
from storage.tables.keys import filter_in
from storage.tables.lookup import distinct
from storage.tables.store import Store, pick, read
from storage.tables.tags import tags_of

SCHEMA = pa.schema([key_field("key", pa.string()), pa.field("n", pa.int64())])


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def fill(store: Store, numbers: dict[str, int]) -> lance.LanceDataset:
    rows = [{"key": key, "n": n} for key, n in numbers.items()]
    return store.append("t", SCHEMA, [pa.RecordBatch.from_pylist(rows, schema=SCHEMA)])


def content(store: Store, version: int | str | None = None) -> dict[str, int]:
    return {row["key"]: row["n"] for row in store.open("t", version).to_table().to_pylist()}


@pytest.mark.parametrize(
    ("uri", "folder"),
    [("data/store/", Path("data/store")), ("file:///data/store", Path("/data/store")), ("s3://bucket/store", None)],
)
def test_a_store_has_a_folder_where_it_is_local(uri: str, folder: Path | None) -> None:
    assert Store(uri).folder == folder


def test_a_table_that_is_not_there_is_named(store: Store) -> None:
    assert store.find("t") is None
    with pytest.raises(InputError, match=r"there is no table 't'$"):
        store.open("t")


def test_what_is_looked_up_is_remembered_for_one_state_of_the_table(store: Store, tmp_path: Path) -> None:
    def look() -> dict[str, int]:
        table = store.open("t")
        seen.append(table.version)
        found = store.recent.get(table, "all", table.to_table)
        return {row["key"]: row["n"] for row in found.to_pylist()}

    seen: list[int] = []
    fill(store, {"a": 1})
    assert look() == look() == {"a": 1}
    shutil.copytree(tmp_path / "store", tmp_path / "copy")
    fill(store, {"b": 2})
    assert look() == {"a": 1, "b": 2}
    shutil.rmtree(tmp_path / "store")  # an older copy is put back, and goes another way: to the same number
    shutil.copytree(tmp_path / "copy", tmp_path / "store")
    fill(store, {"c": 3})
    assert look() == {"a": 1, "c": 3}
    assert seen[-2] == seen[-1]


def test_little_is_remembered(store: Store) -> None:
    table, asked = fill(store, {"a": 1}), list[int]()

    def look(size: int) -> pa.Table:
        asked.append(size)
        return pa.table({"n": pa.array(range(size), pa.int64())})

    large = 2**20 // 8 + 1
    for _ in range(2):
        assert store.recent.get(table, "large", lambda: look(large)).num_rows == large
    assert asked == [large, large]
    for number in range(1_000):
        store.recent.get(table, number, lambda: look(1))
    assert sum(found.nbytes for found in store.recent._found.values()) <= 32 * 2**20


@pytest.mark.parametrize("place", ["local", "remote"])
def test_tables_are_listed_and_know_since_when_they_are_idle(
    request: pytest.FixtureRequest, tmp_path: Path, place: str
) -> None:
    store = Store(tmp_path / "store" if place == "local" else request.getfixturevalue("bucket"))
    assert store.tables() == []
    for name in ("u", "t"):
        store.ensure(name, SCHEMA)
    assert store.tables() == ["t", "u"]
    assert timedelta(0) <= store.idle("t") < timedelta(minutes=1)


def test_a_version_or_tag_that_is_not_there_is_named(store: Store) -> None:
    fill(store, {"a": 1})
    for wanted in (99, "rel-9"):
        with pytest.raises(InputError, match=f"no table 't' at version {wanted}"):
            store.open("t", wanted)


def test_damage_is_not_mistaken_for_absence(store: Store) -> None:
    fill(store, {"a": 1})
    for manifest in Path(store.path("t"), "_versions").glob("*.manifest"):
        manifest.write_bytes(b"no manifest")
    with pytest.raises((OSError, ValueError)) as caught:
        store.find("t")
    assert not isinstance(caught.value, InputError)


def test_ensure_makes_a_table_with_stable_row_ids_once(store: Store) -> None:
    first = store.ensure("t", SCHEMA)
    assert (first.has_stable_row_ids, first.count_rows(), first.schema) == (True, 0, SCHEMA)
    assert store.ensure("t", SCHEMA).version == first.version


def test_two_threads_that_make_one_table_both_get_it(store: Store) -> None:
    barrier, seen = Barrier(4), []

    def make() -> None:
        barrier.wait()
        seen.append(store.ensure("t", SCHEMA).version)

    threads = [Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [1] * 4


def test_a_stream_is_appended_in_one_version(store: Store) -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        for n in range(3):
            yield pa.RecordBatch.from_pylist([{"key": str(n), "n": n}], schema=SCHEMA)

    before = store.ensure("t", SCHEMA).version
    assert store.append("t", SCHEMA, batches()).version == before + 1
    assert content(store) == {"0": 0, "1": 1, "2": 2}


def test_an_empty_append_makes_no_version(store: Store) -> None:
    before = fill(store, {"a": 1}).version
    assert store.append("t", SCHEMA, []).version == before


def test_upsert_replaces_rows_of_the_same_key_and_inserts_the_others(store: Store) -> None:
    fill(store, {"a": 1, "b": 2})
    stats = store.upsert("t", SCHEMA, "key", [{"key": "b", "n": 3}, {"key": "c", "n": 4}])
    assert (stats["num_updated_rows"], stats["num_inserted_rows"]) == (1, 1)
    assert content(store) == {"a": 1, "b": 3, "c": 4}


def test_a_key_is_inserted_once(store: Store) -> None:
    assert [store.insert_new("t", SCHEMA, "key", {"key": "a", "n": n}) for n in (1, 2)] == [True, False]
    assert content(store) == {"a": 1}


def test_restore_brings_the_rows_of_a_version_back_as_a_new_version(store: Store) -> None:
    good = fill(store, {"a": 1}).version
    bad = fill(store, {"b": 2}).version
    head = store.restore("t", good)
    assert (content(store), head.version) == ({"a": 1}, bad + 1)
    assert content(store, bad) == {"a": 1, "b": 2}


WIDE = pa.schema([SCHEMA.field("key"), pa.field("unit", pa.string()), SCHEMA.field("n")])


def test_columns_are_added_without_data_and_old_versions_stay(store: Store) -> None:
    old = fill(store, {"a": 1})
    old.tags.create("rel-1", old.version)
    data = sorted(path.name for path in Path(store.path("t")).rglob("*.lance"))
    assert store.complete("t", WIDE).schema.names == ["key", "n", "unit"]
    assert sorted(path.name for path in Path(store.path("t")).rglob("*.lance")) == data
    assert store.open("t").to_table().to_pylist() == [{"key": "a", "n": 1, "unit": None}]
    assert store.open("t", "rel-1").schema == SCHEMA
    assert store.complete("t", WIDE).version == store.complete("t", SCHEMA).version == old.version + 1


@pytest.mark.parametrize("write", ["append", "upsert", "insert_new"])
def test_a_write_of_a_new_column_to_an_old_table_loses_nothing(store: Store, write: str) -> None:
    fill(store, {"a": 1})
    row = {"key": "b", "unit": "seconds", "n": 2}
    if write == "append":
        store.append("t", WIDE, [pa.RecordBatch.from_pylist([row], schema=WIDE)])
    elif write == "upsert":
        store.upsert("t", WIDE, "key", [row])
    else:
        assert store.insert_new("t", WIDE, "key", row)
    rows = {found["key"]: found["unit"] for found in store.open("t").to_table().to_pylist()}
    assert rows == {"a": None, "b": "seconds"}


def test_a_write_that_knows_fewer_columns_keeps_the_others(store: Store) -> None:
    store.upsert("t", WIDE, "key", [{"key": "a", "unit": "seconds", "n": 1}])
    store.upsert("t", SCHEMA, "key", [{"key": "a", "n": 2}, {"key": "b", "n": 3}])
    rows = {row["key"]: (row["unit"], row["n"]) for row in store.open("t").to_table().to_pylist()}
    assert rows == {"a": ("seconds", 2), "b": (None, 3)}


def test_a_restored_version_gets_the_columns_that_it_lacks(store: Store) -> None:
    old = fill(store, {"a": 1}).version
    store.upsert("t", WIDE, "key", [{"key": "b", "unit": "seconds", "n": 2}])
    assert store.restore("t", old).schema.names == ["key", "n"]
    assert store.restore("t", old, WIDE).to_table().to_pylist() == [{"key": "a", "n": 1, "unit": None}]


def test_columns_are_added_whoever_writes_meanwhile(store: Store) -> None:
    fill(store, {})
    with ThreadPoolExecutor(4) as pool:
        adding = [pool.submit(store.complete, "t", WIDE) for _ in range(3)]
        writing = pool.submit(lambda: [fill(store, {f"k{n}": n}) for n in range(10)])
        assert {tuple(each.result().schema.names) for each in adding} == {("key", "n", "unit")}
        writing.result()
    assert len(content(store)) == 10


def test_a_table_is_read_as_the_program_knows_it(store: Store) -> None:
    fill(store, {"a": 1, "b": 2})
    rows = read(store.open("t"), WIDE)
    assert (rows.schema.names, rows["unit"].to_pylist()) == (["key", "unit", "n"], [None, None])
    assert read(store.open("t"), WIDE, ["unit", "key"]).to_pylist()[1] == {"unit": None, "key": "b"}
    store.complete("t", WIDE)
    assert read(store.open("t"), SCHEMA).schema.names == ["key", "n"]


def test_restoring_the_head_makes_no_version(store: Store) -> None:
    head = fill(store, {"a": 1}).version
    assert store.restore("t", head).version == head


def test_rows_are_deleted_by_key(store: Store) -> None:
    keys = [digest(str(n)) for n in range(7)]
    fill(store, dict.fromkeys(keys, 0))
    assert store.delete_keys("t", "key", [*keys[:5], digest("unknown")]) == 5
    assert sorted(content(store)) == sorted(keys[5:])


@pytest.mark.parametrize("stable", [True, False])
def test_many_keys_are_deleted_in_one_pass_as_few_are(
    store: Store, monkeypatch: pytest.MonkeyPatch, *, stable: bool
) -> None:
    monkeypatch.setattr(offsets, "FEW", 3)
    monkeypatch.setattr(offsets, "DELETED", 4)
    keys = [digest(str(n)) for n in range(30)]
    if not stable:  # as a table is that something else made
        rows = pa.table({"key": pa.array([], pa.string()), "n": pa.array([], pa.int64())})
        lance.write_dataset(rows, store.path("t"), enable_stable_row_ids=False)
    for part in (keys[:12], keys[12:]):
        fill(store, dict.fromkeys(part, 1))
    store.delete_keys("t", "key", keys[:2])
    assert store.delete_keys("t", "key", [*keys[1:11], digest("unknown")]) == 9
    assert store.delete_keys("t", "key", distinct([pl.Series(keys[10:22])])) == 11
    assert store.delete_keys("t", "key", distinct([pl.Series(keys[20:24])])) == 2
    assert store.delete_keys("t", "key", distinct([])) == 0
    assert sorted(content(store)) == sorted(keys[24:])


def test_a_handle_keeps_its_version(store: Store) -> None:
    bound = fill(store, {"a": 1})
    fill(store, {"b": 2})
    store.delete_keys("t", "key", ["a"])
    assert bound.to_table().to_pylist() == [{"key": "a", "n": 1}]


def test_a_vacuum_frees_old_versions_and_keeps_tagged_ones(store: Store) -> None:
    fill(store, {"a": 1})
    kept = store.open("t").version
    store.open("t").tags.create("rel-1", kept)
    lost = fill(store, {"b": 2}).version
    store.delete_keys("t", "key", ["a", "b"])
    fill(store, {"c": 3})
    assert store.vacuum("t", timedelta(0)) > 0
    assert (content(store), content(store, kept)) == ({"c": 3}, {"a": 1})
    with pytest.raises(InputError, match="at version"):
        store.open("t", lost)


def test_what_is_not_there_can_be_dropped_and_vacuumed(store: Store) -> None:
    store.drop("t")
    assert store.vacuum("t", timedelta(0)) == 0


def test_a_dropped_table_is_gone(store: Store) -> None:
    fill(store, {"a": 1})
    store.drop("t")
    assert store.find("t") is None


def test_a_filter_lists_the_keys() -> None:
    assert filter_in("key", ["0a", "1b"]) == "key IN ('0a','1b')"


def test_a_filter_on_no_keys_matches_nothing(store: Store) -> None:
    fill(store, {"a": 1})
    assert store.open("t").to_table(filter=filter_in("key", [])).num_rows == 0


@pytest.mark.parametrize("key", ["x' OR 'a'='a", "", "ABC", "a b", "a\n"])
def test_a_filter_takes_nothing_but_hashes(key: str) -> None:
    with pytest.raises(ValueError, match="is not a hash"):
        filter_in("key", [key])


def test_rows_are_picked_by_a_value_whatever_was_deleted_before_them(store: Store) -> None:
    for number in range(6):
        fill(store, {f"k{number}": number})
    store.open("t").delete("n IN (1, 4)")
    table = store.open("t")
    assert pick(table, WIDE, "key", ["k5", "k1", "k2"]).to_pylist() == [
        {"key": "k2", "unit": None, "n": 2},
        {"key": "k5", "unit": None, "n": 5},
    ]
    assert pick(table, SCHEMA, "n", [3], ["key"]).to_pylist() == [{"key": "k3"}]
    assert pick(table, SCHEMA, "key", ["' OR '1'='1"]).num_rows == pick(table, SCHEMA, "key", []).num_rows == 0


def test_tags_are_listed_while_others_come_and_go(store: Store) -> None:
    table = fill(store, {"a": 1})
    table.tags.create("stays", table.version)

    def churn(name: str) -> None:
        mine = store.open("t")
        for number in range(150):
            mine.tags.create(f"{name}-{number}", mine.version)
            mine.tags.delete(f"{name}-{number}")

    with ThreadPoolExecutor(2) as pool:
        churning = [pool.submit(churn, name) for name in ("x", "y")]
        while not all(each.done() for each in churning):
            assert "stays" in tags_of(table)
    assert [each.exception() for each in churning] == [None, None]
    assert tags_of(table) == {"stays"}
