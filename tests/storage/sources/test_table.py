"""What all tables share, on real files."""

from __future__ import annotations

import csv
import datetime
import json
from pathlib import Path

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
        "blob": None,
        "untimed": None,
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
