"""CSV and Parquet sources, and what all tables share, on real files."""

from __future__ import annotations

import csv
import datetime
import json
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import fsspec
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.errors import InputError
from storage.sources import DOCUMENTS, LISTING, Source, open_source, parse_source

ALL = {
    "id": "key",
    "text": "body",
    "title": "head",
    "licence": "terms",
    "timestamp": "time",
    "queries": "asked",
    "metadata": ["lang"],
}
ROW = {
    "key": "a",
    "body": "hello",
    "head": "A",
    "terms": "MIT",
    "time": "2026-01-02T03:04:05Z",
    "asked": '["q"]',
    "lang": "en",
}


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def table(base: Path, kind: str, path: str, **keys: object) -> Source:
    return open_source(parse_source({"name": "rows", "kind": kind, "path": path, **keys}), base)


def listed(source: Source) -> pl.DataFrame:
    return pl.concat([LISTING.to_frame(), *source.list()])


def read(source: Source, ids: list[str] | None = None) -> pl.DataFrame:
    rows = listed(source)
    wanted = rows.filter(pl.col("problem").is_null())["id"] if ids is None else pl.Series(ids, dtype=pl.String)
    return pl.concat([DOCUMENTS.to_frame(), *source.read(wanted)])


def write(path: Path, rows: list[dict[str, object]]) -> str:
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    elif path.suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        pl.DataFrame(rows).write_parquet(path)
    return path.name


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_every_mapped_column_arrives(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / f"t.{kind}", [ROW])
    document = read(table(tmp_path, kind, path, columns=ALL)).row(0, named=True)
    revision = document.pop("revision")
    assert document == {
        "id": "a",
        "text": "hello",
        "title": "A",
        "metadata": '{"lang":"en"}',
        "licence": "MIT",
        "timestamp": datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC),
        "queries": ["q"],
        "problem": None,
    }
    # Stored beside every document: this value may never change under the same content.
    assert revision == "da257618bb173318"


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
@pytest.mark.parametrize("column", [*ROW, "unmapped"])
def test_the_revision_changes_iff_a_mapped_value_does(tmp_path: Path, kind: str, column: str) -> None:
    row = ROW | {"unmapped": "x"}
    changed = row | {column: {"time": "2026-01-02T03:04:06Z", "asked": "p"}.get(column, "other")}
    path = write(tmp_path / f"t.{kind}", [row])
    before = listed(table(tmp_path, kind, path, columns=ALL))["revision"][0]
    write(tmp_path / f"t.{kind}", [changed])
    after = listed(table(tmp_path, kind, path, columns=ALL))["revision"][0]
    assert (before != after) == (column != "unmapped")


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_a_wrong_column_is_named_with_those_there_are(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / f"t.{kind}", [{"id": "a", "body": "x"}])
    with pytest.raises(InputError) as caught:
        listed(table(tmp_path, kind, path, columns={"text": "boddy"}))
    assert str(caught.value) == (
        f"source 'rows': t.{kind} has no column 'boddy' (columns.text); its columns: 'body', 'id'"
        if kind == "jsonl"
        else f"source 'rows': t.{kind} has no column 'boddy' (columns.text); its columns: 'id', 'body'"
    )


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_a_title_is_taken_where_there_is_one(tmp_path: Path, kind: str) -> None:
    path = write(
        tmp_path / f"t.{kind}", [{"id": "a", "text": "x", "title": "T"}, {"id": "b", "text": "x", "title": ""}]
    )
    assert read(table(tmp_path, kind, path, licence="MIT"))["title"].to_list() == ["T", None]


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_a_row_without_id_or_text_is_a_problem_with_its_number(tmp_path: Path, kind: str) -> None:
    rows = [{"id": 1, "text": "x"}, {"id": None, "text": "y"}, {"id": 3, "text": None}]
    source = table(tmp_path, kind, write(tmp_path / f"t.{kind}", rows))
    place, unit = ("L", "line") if kind == "jsonl" else ("R", "row")
    assert listed(source).select("id", "problem").rows() == [
        ("1", None),
        (f"t.{kind}#{place}2", f"t.{kind} {unit} 2: no id in column 'id'"),
        ("3", f"t.{kind} {unit} 3: no text in column 'text'"),
    ]
    assert read(source)["id"].to_list() == ["1"]


def test_a_csv_row_of_another_width_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('id,text\na,"two\nlines"\nb\n\nc,d,e\nf,"g"h\ni,j\n"k')
    source = table(tmp_path, "csv", "t.csv")
    assert listed(source).sort("id").select("id", "problem").rows() == [
        ("a", None),
        ("i", None),
        ("t.csv#L4", "t.csv line 4: 1 values where the header has 2"),
        ("t.csv#L6", "t.csv line 6: 3 values where the header has 2"),
        ("t.csv#L7", "t.csv line 7: not valid CSV: ',' expected after '\"'"),
        ("t.csv#L9", "t.csv line 9: not valid CSV: unexpected end of data"),
    ]
    assert read(source)["text"].to_list() == ["two\nlines", "j"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_csv_is_decoded_by_its_mark_or_replaced(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "t.csv").write_text("id;text\na;café\n", encoding=encoding)
    text = "café" if encoding != "latin-1" else "caf\ufffd"
    assert read(table(tmp_path, "csv", "t.csv", separator=";"))["text"].to_list() == [text]


def test_a_cell_beyond_the_parsers_default_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", [{"id": "a", "text": "x" * 1_000_000}])
    assert read(table(tmp_path, "csv", path))["text"].str.len_bytes().to_list() == [1_000_000]


def test_parquet_types_become_plain(tmp_path: Path) -> None:
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
    source = table(tmp_path, "parquet", "t.parquet", columns=columns)
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
        listed(table(tmp_path, "parquet", "t.parquet"))


@pytest.mark.parametrize(
    ("path", "what"),
    [("no.csv", "does not exist"), ("*.csv", "no file matches"), ("d", "is a folder"), ("nix://a", "cannot open path")],
)
def test_a_path_with_nothing_there_is_an_input_error(tmp_path: Path, path: str, what: str) -> None:
    (tmp_path / "d").mkdir()
    with pytest.raises(InputError, match=what):
        table(tmp_path, "csv", path)


def test_globs_urls_and_compressed_files_are_read_in_the_order_of_names(tmp_path: Path) -> None:
    base = tmp_path / "odd [name]"
    (base / "deep").mkdir(parents=True)
    write(base / "deep" / "b.csv", [{"id": "b", "text": "x"}])
    with fsspec.open(str(base / "a.csv.gz"), "wt", compression="gzip") as file:
        file.write("id,text\na,x\n")
    assert read(table(base, "csv", "**/*.csv*"))["id"].to_list() == ["a", "b"]
    with fsspec.open("memory://tables/c.csv", "wt") as file:
        file.write("id,text\nc,x\nd\n")
    source = table(base, "csv", "memory://tables/*.csv")
    assert listed(source)["id"].to_list() == ["c", "memory:///tables/c.csv#L3"]


def test_files_behind_http_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,text\na,the tide\nb\n")
    handler = partial(Quiet, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        host = f"127.0.0.1:{server.server_port}"
        source = table(tmp_path, "csv", f"http://{host}/a.csv?token=hunter2")
        ids, rows = listed(source)["id"].to_list(), read(source)
        with pytest.raises(InputError, match=r"nothing is at path 'http://.*/none.csv\?token=\*\*\*'"):
            listed(table(tmp_path, "csv", f"http://{host}/none.csv?token=hunter2"))
        server.shutdown()
    assert ids == ["a", f"http://{host}/a.csv?token=***#L3"]
    assert rows["text"].to_list() == ["the tide"]


def test_a_damaged_archive_is_an_input_error(tmp_path: Path) -> None:
    with fsspec.open(str(tmp_path / "a.csv.gz"), "wt", compression="gzip") as file:
        file.write("id,text\n" + "".join(f"{number},{number * 7919}\n" for number in range(1000)))
    whole = (tmp_path / "a.csv.gz").read_bytes()
    (tmp_path / "a.csv.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"cannot read a\.csv\.gz"):
        listed(table(tmp_path, "csv", "a.csv.gz"))


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
ROWS = st.lists(
    st.fixed_dictionaries({"id": TEXT.filter(str.strip), "text": TEXT, "title": TEXT, "n": st.integers(-9, 9)}),
    min_size=1,
    max_size=8,
    unique_by=lambda row: row["id"],
)


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, data=st.data())
def test_listing_and_reading_agree_on_any_rows(
    tmp_path: Path, kind: str, rows: list[dict[str, object]], data: st.DataObject
) -> None:
    source = table(tmp_path, kind, write(tmp_path / f"t.{kind}", rows), columns={"metadata": ["n"]})
    listing, documents = listed(source), read(source)
    assert listing.equals(listed(source))
    assert listing["problem"].null_count() == len(rows)
    assert documents.select("id", "revision").equals(listing.select("id", "revision"))
    assert documents.select("id", "text").rows() == [(row["id"], row["text"]) for row in rows]
    some = data.draw(st.lists(st.sampled_from(documents["id"].to_list()), unique=True))
    assert read(source, [*some, "no such id"]).equals(documents.filter(pl.col("id").is_in(some)))


def test_many_rows_come_in_bounded_slices(tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", [{"id": number, "text": "x" * 10_000} for number in range(5_000)])
    source = table(tmp_path, "jsonl", path)
    slices = list(source.read(listed(source)["id"]))
    assert sum(map(len, slices)) == 5_000
    assert max(int(frame["text"].str.len_bytes().sum()) for frame in slices) <= 16 * 1024 * 1024
    assert max(map(len, slices)) <= 2_000
