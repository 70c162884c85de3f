"""Which chunk rows come, go and stay."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from corpus import configure, context, encoder, prepared, prose, rows, save
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.config.schema import Config
from flows.refresh import refresh
from models.text.tokenizer import WordTokenizer
from storage.hashing import document_key
from storage.tables.roles import chunks_table
from tasks.build.chunk import ROWS, Cutter, chunk_rows, difference, rechunks_all
from tasks.build.chunking import cut as chunking
from tasks.build.chunking.cut import ChunkerConfig

AT = ["id", "ordinal", "start", "end"]
PLACED = {name: ROWS[name] for name in AT}
TABLE = st.dictionaries(st.sampled_from("abcdefgh"), st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(4, 6)))


class OtherTokenizer(WordTokenizer):
    digest = "0" * 32


def cutter(config: Config) -> Cutter:
    """The configured chunker with the configured encoder's tokenizer."""
    found = encoder(config)
    return Cutter.of(config.chunker, found.tokenizer(), found.space)


def placed(table: dict[str, tuple[int, int, int]]) -> pl.DataFrame:
    return pl.DataFrame([(name, *place) for name, place in table.items()], schema=PLACED, orient="row")


@settings(max_examples=50, deadline=None)
@given(new=TABLE, old=TABLE)
def test_the_difference_turns_the_old_rows_into_the_new_ones(
    new: dict[str, tuple[int, int, int]], old: dict[str, tuple[int, int, int]]
) -> None:
    write, outdated, moved = difference(placed(new), placed(old))
    kept = placed(old).filter(~pl.col("id").is_in(outdated.implode()))
    assert sorted([*kept.rows(), *write.rows()]) == sorted(placed(new).rows())
    assert set(write["id"]) & set(kept["id"]) == set()
    assert moved == len([name for name in new if name in old and new[name] != old[name]])


@settings(max_examples=50, deadline=None)
@given(table=TABLE)
def test_equal_rows_are_left_alone(table: dict[str, tuple[int, int, int]]) -> None:
    write, outdated, moved = difference(placed(table), placed(table))
    assert (write.height, len(outdated), moved) == (0, 0, 0)


def documents(**texts: str) -> pl.DataFrame:
    full = [
        {"key": document_key("notes", name), "source": "notes", "id": name, "text": text}
        for name, text in texts.items()
    ]
    return pl.DataFrame(full)


def test_chunks_carry_the_exact_span_of_their_document(tmp_path: Path) -> None:
    text = prose("anchor", 4)
    cut = chunk_rows(documents(a=text), cutter(configure(tmp_path)))
    assert cut.schema == ROWS
    assert cut["ordinal"].to_list() == list(range(cut.height))
    assert [text[start:end] for start, end in cut.select("start", "end").rows()] == cut["text"].to_list()
    assert cut.select(pl.struct("key", "source", "document").n_unique()).item() == 1


def test_the_id_of_a_chunk_survives_edits_elsewhere_and_tells_copies_apart(tmp_path: Path) -> None:
    text = prose("anchor", 8)
    again = "\n\n".join(["The same words stand here once more, and again, and again, and again."] * 9)
    one = cutter(configure(tmp_path))
    before, after = (chunk_rows(documents(a=f"{start}{text}"), one) for start in ("", "An opening.\n\n"))
    copies = chunk_rows(documents(a=again, b=again), one)
    assert len(set(before["id"]) & set(after["id"])) >= before.height - 2
    assert copies["id"].n_unique() == copies.height > copies["hash"].n_unique()


def test_a_document_without_visible_characters_has_no_chunks(tmp_path: Path) -> None:
    cut = chunk_rows(documents(a="", b=" \n "), cutter(configure(tmp_path)))
    assert cut.schema == ROWS
    assert cut.is_empty()


def test_only_what_changed_is_cut(tmp_path: Path) -> None:
    texts = {f"{name}.md": prose(name, 4) for name in ("anchor", "buoy", "chart", "dock")}
    config = configure(tmp_path, texts | {"twin.md": texts["anchor.md"]})
    refresh(config)
    save(
        tmp_path / "notes",
        {"anchor.md": None, "buoy.md": texts["buoy.md"].replace("row 3", "row three"), "chart.md": None},
    )
    with context(config) as shared:
        changes = prepared(shared, config).changes
        written = changes.upserts.frame(["key", "id"], ROWS)
        gone = [part["id"].to_list() for part in changes.outdated.slices()]
        cut = set(changes.cut()["key"])
    key = {name: document_key("notes", f"{name}.md") for name in ("anchor", "buoy", "chart", "dock", "twin")}
    held = rows(config)
    assert sorted(changes.dropped) == sorted([key["anchor"], key["chart"]])
    assert cut == {key["buoy"], key["twin"]}  # the twin takes the place of the anchor
    assert set(written.filter(pl.col("key") == key["twin"])["id"]).isdisjoint({row["id"] for row in held})
    assert {name for part in gone for name in part} <= {row["id"] for row in held if row["key"] == key["buoy"]}
    assert changes.changes
    assert changes.counts == {
        "documents": 2,
        "written": changes.upserts.rows,
        "outdated": changes.outdated.rows,
    }


def test_nothing_is_cut_where_nothing_changed(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor")})
    refresh(config)
    with context(config) as shared:
        changes = prepared(shared, config).changes
    assert (changes.changes, changes.tokens, changes.sizes.rows) == (False, 0, 0)


CUTS = {
    "least tokens": {"config": ChunkerConfig(min_tokens=7, max_tokens=24)},
    "most tokens": {"config": ChunkerConfig(min_tokens=8, max_tokens=25)},
    "tokenizer": {"tokenizer": OtherTokenizer()},
    "window": {"window": 20},
}


@pytest.mark.parametrize("name", CUTS)
def test_whatever_moves_a_cut_is_in_the_fingerprint_of_cutting(tmp_path: Path, name: str) -> None:
    plain = cutter(configure(tmp_path))
    changed: Any = CUTS[name]
    assert replace(plain, **changed).fingerprint != plain.fingerprint == replace(plain).fingerprint


@pytest.mark.parametrize("constant", ["CHUNKER_VERSION", "NORMALISER"])
def test_new_versions_of_chunker_and_normaliser_cut_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, constant: str
) -> None:
    plain = cutter(configure(tmp_path))
    before = plain.fingerprint
    monkeypatch.setattr(chunking, constant, "next")
    assert plain.fingerprint != before


def test_the_window_leaves_room_for_two_special_tokens(tmp_path: Path) -> None:
    config = configure(tmp_path)
    space = encoder(config).space
    assert cutter(config).window == space.window - 2
    assert Cutter.of(config.chunker, WordTokenizer(), replace(space, window=0)).window == 1_000_000


def test_everything_is_cut_anew_for_another_space_another_cut_or_on_demand_only(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor")})
    cut = cutter(config).fingerprint
    table = chunks_table(encoder(config).space.id)
    with context(config) as shared:
        assert rechunks_all(shared, table, cut)  # nothing is published yet
    refresh(config)
    with context(config) as shared:
        assert not rechunks_all(shared, table, cut)
        assert rechunks_all(replace(shared, rebuild=True), table, cut)
        assert rechunks_all(shared, table, "another cut")
        assert rechunks_all(
            shared, chunks_table(encoder(configure(tmp_path, encoder={"name": "stub:2"})).space.id), cut
        )
        done = prepared(shared, config)
    assert (done.changes.table, done.changes.fingerprint, done.changes.rechunks_all) == (table, cut, False)
