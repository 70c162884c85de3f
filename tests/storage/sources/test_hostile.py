"""Whatever one row, cell, name or time stamp holds costs that row alone, in every kind of table."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.errors import InputError
from storage.sources import DOCUMENTS, LISTING, Source, open_source, parse_source

GOOD = [(f"good{number}", f"The tide at pier {number} rises.") for number in range(6)]
COLUMNS = {"timestamp": "time", "queries": "asked", "metadata": ["more"]}
NAMES = ("id", "text", "title", "time", "asked", "more")
DEEP = b"[" * 300 + b"]" * 300


def source_of(base: Path, path: str, **keys: object) -> Source:
    kind = {"csv": "csv", "parquet": "parquet"}.get(path.split(".")[1], "jsonl")
    return open_source(parse_source({"name": "rows", "kind": kind, "path": path, **keys}), base)


def listed(source: Source) -> pl.DataFrame:
    return pl.concat([LISTING.to_frame(), *source.list()])


def read(source: Source) -> pl.DataFrame:
    ids = listed(source).filter(pl.col("problem").is_null())["id"]
    return pl.concat([DOCUMENTS.to_frame(), *source.read(ids)])


def check(source: Source, rows: int) -> pl.DataFrame:
    """The good rows are there as they are, and every other row is read, or told with its place."""
    listing, documents = listed(source), read(source)
    assert [row for row in documents.select("id", "text").iter_rows() if row in GOOD] == GOOD
    assert len(listing) == rows
    sound = listing.filter(pl.col("problem").is_null()).select("id", "revision")
    assert documents.filter(pl.col("problem").is_null()).select("id", "revision").equals(sound)
    return listing.filter(pl.col("problem").is_not_null())


LEAF = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["0000-00-00", "NaT", "\ud800", "\x00", "[1]", '["q"]', "1e999", "2024-13-45"])
)
VALUE = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)
ROW = st.dictionaries(st.sampled_from(NAMES), VALUE | st.just("<deep>"))
HOSTILE = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def mixed(hostile: list[Any], good: list[Any]) -> list[Any]:
    """Hostile rows before, between and behind good ones."""
    found = list(good)
    for at, row in enumerate(hostile):
        found.insert(at * 3, row)
    return found


@HOSTILE
@given(rows=st.lists(ROW, max_size=3))
def test_hostile_json_costs_its_lines(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    lines = [json.dumps(row).encode().replace(b'"<deep>"', DEEP) for row in rows]
    good = [json.dumps({"id": id, "text": text, "time": 0, "asked": "q", "more": 1}).encode() for id, text in GOOD]
    (tmp_path / "t.jsonl").write_bytes(b"\n".join(mixed(lines, good)))
    check(source_of(tmp_path, "t.jsonl", columns=COLUMNS), len(lines) + len(good))


@HOSTILE
@given(lines=st.lists(st.binary(max_size=30).filter(lambda line: line.strip() and b"\n" not in line), max_size=3))
def test_any_bytes_in_a_line_of_json_cost_that_line(tmp_path: Path, lines: list[bytes]) -> None:
    good = [json.dumps({"id": id, "text": text}).encode() for id, text in GOOD]
    (tmp_path / "t.jsonl").write_bytes(b"\n".join([good[0], *lines, *good[1:]]))
    check(source_of(tmp_path, "t.jsonl"), len(lines) + len(good))


@HOSTILE
@given(
    rows=st.lists(
        st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), min_size=1, max_size=8), max_size=3
    )
)
def test_any_cells_of_a_csv_cost_their_row(tmp_path: Path, rows: list[list[str]]) -> None:
    good = [[*row, "", "0", "q", "1"] for row in GOOD]
    with (tmp_path / "t.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([NAMES, *mixed(rows, good)])
    check(source_of(tmp_path, "t.csv", columns=COLUMNS), len(rows) + len(good))


CELLS = {
    "invalid UTF-8": pa.array([b"\xc3\x28"] * 2).view(pa.string()),
    "a time in the year 148108": pa.array([2**62] * 2, pa.timestamp("us")),
    "a time before the year 1": pa.array([-(2**62)] * 2, pa.timestamp("us", "Europe/Berlin")),
    "a day in the year 10000": pa.array([2932897] * 2, pa.date32()),
    "a time of nanoseconds": pa.array([2**62] * 2, pa.timestamp("ns")),
    "a moment within a struct": pa.array([{"t": 2**62}] * 2, pa.struct({"t": pa.timestamp("us")})),
    "invalid UTF-8 within a list": pa.array([[b"\xff"]] * 2).cast(pa.list_(pa.binary())).view(pa.list_(pa.string())),
    "a span of time": pa.array([2**62] * 2, pa.duration("ms")),
    "bytes": pa.array([b"\xff\x00"] * 2),
    "a dictionary": pa.array(["x"] * 2).dictionary_encode(),
    "a map": pa.array([[("k", "v")]] * 2, pa.map_(pa.string(), pa.string())),
    "nothing": pa.nulls(2),
    "a large integer": pa.array([2**63] * 2, pa.uint64()),
    "half a number": pa.array([float("nan")] * 2),
}


@pytest.mark.parametrize("column", [*COLUMNS, "text", "title", "id"])
@pytest.mark.parametrize("what", CELLS)
def test_a_cell_of_parquet_costs_its_row(tmp_path: Path, what: str, column: str) -> None:
    columns = {"text": "text", "title": "title", "id": "id"} | {
        "timestamp": "time",
        "queries": "asked",
        "metadata": "more",
    }
    plain = {"id": ["a", "b"], "text": ["x", "y"], "title": ["", ""], "asked": [[], []], "more": [1, 2], "time": [0, 0]}
    pq.write_table(pa.table(plain | {columns[column]: CELLS[what]}), tmp_path / "bad.parquet")
    good = {"id": [row[0] for row in GOOD], "text": [row[1] for row in GOOD]}
    pq.write_table(pa.table(good | {name: pa.nulls(6) for name in NAMES[2:]}), tmp_path / "good.parquet")
    told = check(source_of(tmp_path, "*.parquet", columns=COLUMNS), 8)
    assert all(problem.startswith("bad.parquet row ") for problem in told["problem"])


def test_what_is_nested_too_deep_is_told_in_every_column(tmp_path: Path) -> None:
    good = [json.dumps({"id": id, "text": text, "more": 1, "time": 0, "asked": ""}).encode() for id, text in GOOD]
    bad = [b'{"id": "%s", "text": "x", "%s": %s}' % (name.encode(), name.encode(), DEEP) for name in NAMES]
    (tmp_path / "t.jsonl").write_bytes(b"\n".join([*good, *bad]))
    told = check(source_of(tmp_path, "t.jsonl", columns=COLUMNS), 12)
    assert [problem.split(": ")[0] for problem in told["problem"]] == [f"t.jsonl line {n}" for n in (7, 8, 9, 11, 12)]
    assert told["problem"].str.contains("nested more than 250 levels deep").all()
    untimed = read(source_of(tmp_path, "t.jsonl", columns=COLUMNS)).filter(pl.col("id") == "time")["untimed"][0]
    assert untimed.startswith("t.jsonl line 10: column 'time' is no time: a list that is nested more than 250 levels")


def test_a_time_that_cannot_be_read_costs_the_time_alone(tmp_path: Path) -> None:
    times = [
        "0000-00-00 00:00:00",
        "NaT",
        "2024/01/05",
        "Tue, 15 Nov 1994 12:45:26 GMT",
        "1700000000000",
        "1700000000",
        "",
    ]
    with (tmp_path / "t.csv").open("w") as file:
        csv.writer(file).writerows([("id", "text", "t"), *((str(n), "x", time) for n, time in enumerate(times))])
    rows = read(source_of(tmp_path, "t.csv", columns={"timestamp": "t"}))
    assert [time and time.year for time in rows["timestamp"]] == [None, None, 2024, 1994, 2023, 2023, None]
    assert (
        rows["untimed"].to_list()[1].startswith("t.csv line 3: column 't' is no time: 'NaT'; write ISO 8601, RFC 2822")
    )
    assert [text is None for text in rows["untimed"]] == [False, False, True, True, True, True, True]
    own = read(source_of(tmp_path, "t.csv", columns={"timestamp": "t"}, time_format="%Y/%m/%d"))
    assert own["timestamp"].is_not_null().arg_true().to_list() == [2]
    assert own["untimed"][0].endswith("write '%Y/%m/%d' (time_format)")


@pytest.mark.parametrize("kind", ["jsonl", "jsonl.gz", "csv", "parquet"])
def test_a_row_beyond_the_bound_is_told_with_its_size_and_the_rest_is_read(tmp_path: Path, kind: str) -> None:
    rows = [*GOOD[:2], ("large", "x" * 200_000), *GOOD[2:]]
    path = tmp_path / f"t.{kind}"
    if kind == "parquet":
        pl.DataFrame(rows, schema=["id", "text"], orient="row").write_parquet(path)
    elif kind == "csv":
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([("id", "text"), *rows])
    else:
        raw = "".join(json.dumps({"id": id, "text": text}) + "\n" for id, text in rows).encode()
        path.write_bytes(gzip.compress(raw) if kind.endswith("gz") else raw)
    told = check(source_of(tmp_path, path.name, max_bytes=100_000), 7)
    assert "200,0" in told["problem"][0]
    assert "bytes, more than max_bytes = 100,000: split it, or allow more" in told["problem"][0]
    assert check(source_of(tmp_path, path.name, max_bytes=300_000), 7).is_empty()


def test_a_value_that_a_dictionary_holds_once_counts_in_every_row(tmp_path: Path) -> None:
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 500 + [1]), pa.array(["x" * 100_000, "short"]))
    table = pa.table({"id": [str(n) for n in range(501)], "text": texts})
    pq.write_table(table, tmp_path / "t.parquet")
    assert (tmp_path / "t.parquet").stat().st_size < 20_000
    slices = list(source_of(tmp_path, "t.parquet").list())
    assert max(map(len, slices)) < 60  # 4 MiB of them at once
    assert listed(source_of(tmp_path, "t.parquet", max_bytes=1_000))["problem"].null_count() == 1


def test_a_record_beyond_the_bound_ends_where_the_parser_ends_it(tmp_path: Path) -> None:
    lines = "".join(f'r{n},"text ""{n}"" and\nmore"\n' for n in range(50))
    for name, large in {
        "quoted": '"' + "line, of\n" * 500 + 'it"',
        "unclosed": '"' + "x" * 2_000,
        "plain": "y" * 2_000,
    }.items():
        (tmp_path / f"{name}.csv").write_text(f"id,text\nfirst,x\nlarge,{large}\n{lines}last,z\n")
        source = source_of(tmp_path, f"{name}.csv", max_bytes=1_000)
        told = listed(source).filter(pl.col("problem").is_not_null())
        ids = read(source)["id"].to_list()
        last = {"quoted": 503, "unclosed": 4, "plain": 3}[name]
        assert told["id"][0] == (f"{name}.csv#L3-L{last}" if last > 3 else f"{name}.csv#L3")
        assert ids[:1] + ids[-1:] == ["first", "last"]
        assert len(ids) == (51 if name == "unclosed" else 52)  # which takes one more


def test_an_unclosed_quote_names_the_lines_that_it_takes(tmp_path: Path) -> None:
    rows = [f"r{n},Row {n} says this.\n" for n in range(40)]
    rows[38] = 'r38,"An opening quote only\n'
    (tmp_path / "t.csv").write_text("id,text\n" + "".join(rows))
    told = listed(source_of(tmp_path, "t.csv")).filter(pl.col("problem").is_not_null())
    assert told.select("id", "problem").rows() == [
        ("t.csv#L40-L41", "t.csv line 40 to 41: not valid CSV: unexpected end of data (2 lines)")
    ]


def test_all_files_of_an_archive_are_read_but_not_what_systems_put_beside(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "t.jsonl.zip", "w") as archive:
        archive.writestr("data/", "")
        archive.writestr("__MACOSX/._a.jsonl", b"\x00\x05")
        archive.writestr("data/.DS_Store", b"\x00")
        archive.writestr("data/b.jsonl", '{"id": "b", "text": "x"}\n{"id"')
        archive.writestr("data/a.jsonl", '{"id": "a", "text": "x"}\n')
    source = source_of(tmp_path, "t.jsonl.zip")
    assert listed(source)["id"].to_list() == ["a", "b", "t.jsonl.zip/data/b.jsonl#L2"]
    assert read(source)["id"].to_list() == ["a", "b"]
    with zipfile.ZipFile(tmp_path / "one.csv.zip", "w") as archive:
        archive.writestr("inner.csv", "id,text\na\n")
    assert listed(source_of(tmp_path, "one.csv.zip"))["id"].to_list() == ["one.csv.zip#L2"]


def broken_zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.jsonl", json.dumps({"id": "a", "text": "abc" * 1_000}))
    raw = bytearray(buffer.getvalue())
    raw[45:60] = b"\xff" * 15
    return bytes(raw)


@pytest.mark.parametrize(
    ("name", "raw", "what"),
    [
        ("t.jsonl.tar.gz", b"", "t.jsonl.tar.gz is an archive: unpack it"),
        ("t.jsonl.zip", b"PK", "cannot read t.jsonl.zip"),
        ("t.jsonl.zip", broken_zip(), "cannot read t.jsonl.zip"),
        ("t.jsonl.gz", gzip.compress(b"x" * 1000, mtime=0)[:12] + b"\xff" * 9, "cannot read t.jsonl.gz"),
        ("t.jsonl.xz", b"\xfd7zXZ\x00\x00", "cannot read t.jsonl.xz"),
        ("t.csv", b'id,"text\n', "the header of t.csv is not valid CSV: unexpected end of data"),
        ("t.jsonl", b'[{"id": "a", "text": "x"}]', r"t.jsonl is a JSON array; .* `jq -c '.\[\]' t.jsonl`"),
        ("t.jsonl", b'[\n {"id": "a",\n  "text": "x"}\n]\n', "t.jsonl is a JSON array"),
        ("t.jsonl", b'[\n{"id": "a", "text": "x"},\n{"id": "b", "text": "x"}\n]\n', "t.jsonl is a JSON array"),
        ("t.jsonl", b'{\n "id": "a",\n "text": "x"\n}\n', "t.jsonl spreads its objects over several lines"),
    ],
)
def test_what_concerns_a_whole_file_names_it(tmp_path: Path, name: str, raw: bytes, what: str) -> None:
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(InputError, match=f"source 'rows': .*{what}"):
        listed(source_of(tmp_path, name))


@pytest.mark.parametrize("line", [b"[" * 300, b'["id"]', b"[", b"{"])
def test_one_odd_first_line_does_not_make_an_array_of_a_file(tmp_path: Path, line: bytes) -> None:
    good = [json.dumps({"id": id, "text": text}).encode() for id, text in GOOD]
    (tmp_path / "t.jsonl").write_bytes(b"\n".join([line, *good]))
    assert check(source_of(tmp_path, "t.jsonl"), 7)["id"].to_list() == ["t.jsonl#L1"]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_folder_as_path_is_told_with_the_suffix_of_its_kind(tmp_path: Path, kind: str) -> None:
    (tmp_path / "data").mkdir()
    config = parse_source({"name": "rows", "kind": kind, "path": "data/"})
    with pytest.raises(InputError, match=f"is a folder; name its files, as in 'data/\\*.{kind}'"):
        open_source(config, tmp_path)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "jsonl.gz"])
@pytest.mark.parametrize(
    ("encoding", "written", "said"),
    [
        ("windows-1252", "cp1252", "\u201cCaf\u00e9\u201d for 5 \u20ac at the harbour of Saint-Malo."),
        ("Shift_JIS", "cp932", "\u6f6e\u306e\u6e2f\u306f\u4e5d\u6642\u306b\u958b\u304f\u3002"),
        (
            "detect",
            "cp1252",
            "Les mar\u00e9es d\u2019\u00e9t\u00e9 montent plus haut \u00e0 Saint-Malo.",
        ),
        ("detect", "utf-8", "\u6f6e caf\u00e9"),
        ("windows-1252", "utf-16", "\u6f6e caf\u00e9"),
        ("utf-8", "utf-32", "\u6f6e caf\u00e9"),
    ],
)
def test_a_table_is_read_in_the_encoding_that_it_is_written_in(
    tmp_path: Path, kind: str, encoding: str, written: str, said: str
) -> None:
    rows = [*GOOD, ("odd", said)]
    lines = [json.dumps({"id": id, "text": text}, ensure_ascii=False) for id, text in rows]
    text = "\n".join(["id,text", *(f'{id},"{text}"' for id, text in rows)] if kind == "csv" else lines)
    raw = text.encode(written)
    (tmp_path / f"t.{kind}").write_bytes(gzip.compress(raw) if kind.endswith("gz") else raw)
    found = read(source_of(tmp_path, f"t.{kind}", encoding=encoding))
    assert found.select("id", "text").rows() == rows


def test_an_encoding_that_there_is_not_is_refused_and_parquet_has_none() -> None:
    plain = {"name": "rows", "path": "t"}
    with pytest.raises(ValueError, match="there is no encoding 'latin-17'"):
        parse_source(plain | {"kind": "csv", "encoding": "latin-17"})
    with pytest.raises(ValueError, match="encoding"):
        parse_source(plain | {"kind": "parquet", "encoding": "utf-8"})


def test_settings_that_came_later_are_silent_at_their_default() -> None:
    plain = {"name": "rows", "kind": "csv", "path": "t.csv"}
    silent = parse_source(plain).identity()
    assert not {"max_bytes", "time_format", "encoding"} & set(silent)
    assert parse_source(plain | {"max_bytes": 5}).identity() == silent | {"max_bytes": 5}
