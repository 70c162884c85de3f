"""LanceDB as readers get it: without the client of its cloud, bound to a tag."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from storage.database import open_table
from storage.errors import InputError, TableMissing
from storage.tables.store import Store

SCHEMA = pa.schema([pa.field("n", pa.int64())])


def fill(store: Store, *numbers: int) -> None:
    store.append("t", SCHEMA, [pa.RecordBatch.from_pylist([{"n": number} for number in numbers], schema=SCHEMA)])


def test_the_client_of_the_cloud_stays_out_and_can_be_imported_later() -> None:
    script = """
import sys
from storage.database import import_lancedb
lancedb = import_lancedb()
print([name for name in sys.modules if name.startswith("lance_namespace_urllib3_client.api")])
import lance_namespace_urllib3_client
print(lance_namespace_urllib3_client.TableApi.__name__, import_lancedb() is lancedb)
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\nTableApi True\n"


@pytest.mark.parametrize("name", ["plain", "with space", "ümläut", "a#b?c%20d"])
def test_a_table_stays_at_its_tag(tmp_path: Path, name: str) -> None:
    store = Store(tmp_path / name)
    fill(store, 1, 2)
    head = store.open("t")
    head.tags.create("rel-1", head.version)
    fill(store, 3)
    for opened in (open_table(store, "t", "rel-1"), open_table(Store(f"file://{store.uri}"), "t", "rel-1")):
        assert opened.count_rows() == 2
        head.delete("true")
        assert opened.to_arrow()["n"].to_pylist() == [1, 2]


def test_a_table_or_a_tag_that_is_not_there_is_told_like_everywhere(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    fill(store, 1)
    for table, tag in (("t", "rel-1"), ("none", "rel-1")):
        with pytest.raises(TableMissing, match=f"there is no table '{table}' at version rel-1"):
            open_table(store, table, tag)


def test_a_bucket_gives_tables_and_tells_what_is_wrong(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(bucket)
    fill(store, 1, 2)
    head = store.open("t")
    head.tags.create("rel-1", head.version)
    fill(store, 3)
    assert open_table(store, "t", "rel-1").count_rows() == 2
    with pytest.raises(TableMissing, match="at version rel-2"):
        open_table(store, "t", "rel-2")
    with pytest.raises(InputError, match="s3://nobody/store: there is no such bucket"):
        open_table(Store("s3://nobody/store"), "t", "rel-1")
