"""The CSV source, on real files."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from storage.sources import DOCUMENTS, LISTING, Source, open_source, parse_source


def csv_source(base: Path, path: str, **keys: object) -> Source:
    return open_source(parse_source({"name": "rows", "kind": "csv", "path": path, **keys}), base)


def listed(source: Source) -> pl.DataFrame:
    return pl.concat([LISTING.to_frame(), *source.list()])


def read(source: Source) -> pl.DataFrame:
    ids = listed(source).filter(pl.col("problem").is_null())["id"]
    return pl.concat([DOCUMENTS.to_frame(), *source.read(ids)])


def test_a_row_of_another_width_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('id,text\na,"two\nlines"\nb\n\nc,d,e\nf,"g"h\ni,j\n"k')
    source = csv_source(tmp_path, "t.csv")
    assert listed(source).sort("id").select("id", "problem").rows() == [
        ("a", None),
        ("i", None),
        ("t.csv#L4", "t.csv line 4: 1 values where the header has 2"),
        ("t.csv#L6", "t.csv line 6: 3 values where the header has 2"),
        ("t.csv#L7", "t.csv line 7: not valid CSV: ',' expected after '\"'"),
        ("t.csv#L9", "t.csv line 9: not valid CSV: unexpected end of data"),
    ]
    assert read(source)["text"].to_list() == ["two\nlines", "j"]


def test_a_quote_that_is_not_closed_tells_which_lines_it_swallows(tmp_path: Path) -> None:
    rows = "".join(f"{letter},text\n" for letter in "abcdefgh")
    (tmp_path / "t.csv").write_text(f'id,text\n{rows}i,"text\n{rows}')
    (tmp_path / "u.csv").write_text(f'id,text\nz,"text\n{rows}i,"text"\nj,text,"\nk\nl",text\nm,text\n')
    swallowed = listed(csv_source(tmp_path, "t.csv")).filter(pl.col("problem").is_not_null())
    assert swallowed.select("id", "problem").rows() == [
        ("t.csv#L10-L18", "t.csv line 10 to 18: not valid CSV: unexpected end of data (9 lines)")
    ]
    assert listed(csv_source(tmp_path, "u.csv")).select("id", "problem").rows() == [
        ("m", None),
        ("u.csv#L2-L11", "u.csv line 2 to 11: not valid CSV: ',' expected after '\"' (10 lines)"),
        ("u.csv#L12-L14", "u.csv line 12 to 14: 4 values where the header has 2 (3 lines)"),
    ]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_a_file_is_decoded_by_its_mark_or_replaced(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "t.csv").write_text("id;text\na;café\n", encoding=encoding)
    text = "café" if encoding != "latin-1" else "caf\ufffd"
    assert read(csv_source(tmp_path, "t.csv", separator=";"))["text"].to_list() == [text]


def test_a_cell_beyond_the_parsers_default_is_read(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(f"id,text\na,{'x' * 1_000_000}\n")
    assert read(csv_source(tmp_path, "t.csv"))["text"].str.len_bytes().to_list() == [1_000_000]
