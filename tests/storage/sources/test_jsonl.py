"""The JSON lines source, on real files."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from storage.errors import InputError
from storage.sources import DOCUMENTS, LISTING, Source, open_source, parse_source


def source_of(path: Path, content: bytes, **keys: object) -> Source:
    path = path / "t.jsonl"
    path.write_bytes(content)
    return open_source(parse_source({"name": "rows", "kind": "jsonl", "path": "t.jsonl", **keys}), path.parent)


def listed(source: Source) -> pl.DataFrame:
    return pl.concat([LISTING.to_frame(), *source.list()])


def read(source: Source) -> pl.DataFrame:
    ids = listed(source).filter(pl.col("problem").is_null())["id"]
    return pl.concat([DOCUMENTS.to_frame(), *source.read(ids)])


GOOD = b'{"id": "a", "text": "x"}'


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b'{"id": "b", "text": }', "not valid JSON: "),
        (b'{"id": "b", "text": NaN}', "not valid JSON: "),
        (b"{'id': 'b'}", "not valid JSON: "),
        (b'{"id": "b",}', "not valid JSON: "),
        (b'{"id": "b"} {"id": "c"}', "not valid JSON: "),
        (b'{"id": "b", "text": "\t"}', "not valid JSON: "),
        (b'{"id": "b", "text": "\\ud800"}', "not valid JSON: "),
        (b'{"id": "b", \xff}', "not valid JSON: "),
        (b"[" * 100_000, "not valid JSON: "),
        (b'["id"]', "not a JSON object"),
        (b'"text"', "not a JSON object"),
        (b"null", "not a JSON object"),
    ],
)
def test_a_broken_line_is_a_problem_and_the_rest_goes_on(tmp_path: Path, line: bytes, why: str) -> None:
    source = source_of(tmp_path, GOOD + b"\n" + line + b"\n\n" + GOOD.replace(b'"a"', b'"z"'))
    rows = {row["id"]: row for row in listed(source).rows(named=True)}
    assert sorted(rows) == ["a", "t.jsonl#L2", "z"]
    assert rows["t.jsonl#L2"]["problem"].startswith(f"t.jsonl line 2: {why}")
    assert read(source)["id"].to_list() == ["a", "z"]


@pytest.mark.parametrize(
    "line",
    [
        b'\xef\xbb\xbf{"id": "a", "text": "x"}',
        b' {"id": "a" , "text" : "x" } \r',
        b'{"id": "b", "id": "a", "text": "x"}',
        b'{"id": "\\u0061", "text": "x", "more": [1e400, -0.0, {"deep": null}]}'.replace(b"1e400", b"1e40"),
    ],
)
def test_odd_but_valid_lines_are_read(tmp_path: Path, line: bytes) -> None:
    assert read(source_of(tmp_path, line)).select("id", "text").rows() == [("a", "x")]


def test_invalid_utf8_is_replaced_for_validation_to_refuse(tmp_path: Path) -> None:
    assert read(source_of(tmp_path, b'{"id": "a", "text": "caf\xe9"}'))["text"].to_list() == ["caf\ufffd"]


def test_utf16_is_read_by_its_mark(tmp_path: Path) -> None:
    content = '{"id": "a", "text": "café"}\n{"id": "b", "text": "ਊ"}\n'.encode("utf-16")
    assert read(source_of(tmp_path, content))["text"].to_list() == ["café", "ਊ"]


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"id": True}, "column 'id' is no id: 'true'; write it as a string"),
        ({"id": 10**25}, "column 'id' is no id: '1e+25'; write it as a string"),
        ({"id": " "}, "no id in column 'id'"),
        ({"text": 5}, "column 'text' is no text: '5'"),
        ({"text": ["x"]}, "column 'text' is no text: '[\"x\"]'"),
        ({"asked": [1]}, "column 'asked' is neither a query nor a list of queries: '[1]'"),
    ],
)
def test_a_value_of_the_wrong_type_is_a_problem(tmp_path: Path, values: dict[str, object], why: str) -> None:
    rows = [{"id": "a", "text": "x", "when": 0, "asked": "q"}, {"id": "b", "text": "x"} | values]
    source = source_of(
        tmp_path, "\n".join(map(json.dumps, rows)).encode(), columns={"timestamp": "when", "queries": "asked"}
    )
    assert listed(source)["problem"].to_list() == [None, f"t.jsonl line 2: {why}"]
    assert read(source)["id"].to_list() == ["a"]


def test_line_numbers_go_on_from_block_to_block(tmp_path: Path) -> None:
    long = json.dumps({"id": "a", "text": "x" * 3_000_000}).encode()
    source = source_of(tmp_path, b"\n".join([long, long, long, long, b"{"]))
    assert listed(source)["id"].to_list() == ["a", "a", "a", "a", "t.jsonl#L5"]


def test_an_optional_column_that_no_line_has_is_an_input_error(tmp_path: Path) -> None:
    source = source_of(tmp_path, GOOD, columns={"licence": "terms"})
    with pytest.raises(InputError, match=r"no column 'terms' \(columns\.licence\); its columns: 'id', 'text'"):
        listed(source)


def test_an_empty_file_has_no_rows(tmp_path: Path) -> None:
    assert listed(source_of(tmp_path, b"")).rows() == []
