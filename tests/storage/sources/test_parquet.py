"""The Parquet source, on real files."""

from __future__ import annotations

import datetime
from pathlib import Path

import polars as pl
import pytest

from storage.errors import InputError
from storage.sources import DOCUMENTS, LISTING, Source, open_source, parse_source


def parquet(base: Path, path: str, **keys: object) -> Source:
    return open_source(parse_source({"name": "rows", "kind": "parquet", "path": path, **keys}), base)


def listed(source: Source) -> pl.DataFrame:
    return pl.concat([LISTING.to_frame(), *source.list()])


def read(source: Source) -> pl.DataFrame:
    ids = listed(source).filter(pl.col("problem").is_null())["id"]
    return pl.concat([DOCUMENTS.to_frame(), *source.read(ids)])


def test_types_become_plain(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "id": [1.0, 2.5],
            "text": [b"caf\xe9", b"x"],
            "time": [datetime.date(2026, 1, 2), None],
            "asked": [["p", "q"], []],
            "nested": [{"b": 1, "a": [True, None]}, None],
        }
    )
    frame.write_parquet(tmp_path / "t.parquet")
    columns = {"timestamp": "time", "queries": "asked", "metadata": ["nested"]}
    source = parquet(tmp_path, "t.parquet", columns=columns)
    assert listed(source)["problem"].to_list() == [
        None,
        "t.parquet row 2: column 'id' is no id: '2.5'; write it as a string",
    ]
    document = read(source).row(0, named=True)
    assert (document["id"], document["text"], document["queries"]) == ("1", "caf\ufffd", ["p", "q"])
    assert document["timestamp"] == datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)
    assert document["metadata"] == '{"nested":{"a":[true,null],"b":1}}'


def test_a_file_that_is_no_parquet_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_bytes(b"id,text\n")
    with pytest.raises(InputError, match=r"t\.parquet is no sound Parquet file"):
        listed(parquet(tmp_path, "t.parquet"))
