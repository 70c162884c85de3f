"""Which chunk rows come, go and stay."""

from __future__ import annotations

from pathlib import Path

import polars as pl
from corpus import configure, context, prepared, prose, rows, save
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.refresh import refresh
from storage.hashing import document_key
from tasks.build.chunk import ROWS, chunk_rows, difference

AT = ["id", "ordinal", "start", "end"]
PLACED = {name: ROWS[name] for name in AT}
TABLE = st.dictionaries(st.sampled_from("abcdefgh"), st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(4, 6)))


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
    with context(configure(tmp_path)) as shared:
        cut = chunk_rows(documents(a=text), shared)
    assert cut.schema == ROWS
    assert cut["ordinal"].to_list() == list(range(cut.height))
    assert [text[start:end] for start, end in cut.select("start", "end").rows()] == cut["text"].to_list()
    assert cut.select(pl.struct("key", "source", "document").n_unique()).item() == 1


def test_the_id_of_a_chunk_survives_edits_elsewhere_and_tells_copies_apart(tmp_path: Path) -> None:
    text = prose("anchor", 8)
    again = "\n\n".join(["The same words stand here once more, and again, and again, and again."] * 9)
    with context(configure(tmp_path)) as shared:
        before, after = (chunk_rows(documents(a=f"{start}{text}"), shared) for start in ("", "An opening.\n\n"))
        copies = chunk_rows(documents(a=again, b=again), shared)
    assert len(set(before["id"]) & set(after["id"])) >= before.height - 2
    assert copies["id"].n_unique() == copies.height > copies["hash"].n_unique()


def test_a_document_without_visible_characters_has_no_chunks(tmp_path: Path) -> None:
    with context(configure(tmp_path)) as shared:
        assert chunk_rows(documents(a="", b=" \n "), shared).schema == ROWS
        assert chunk_rows(documents(a="", b=" \n "), shared).is_empty()


def test_only_what_changed_is_cut(tmp_path: Path) -> None:
    texts = {f"{name}.md": prose(name, 4) for name in ("anchor", "buoy", "chart", "dock")}
    config = configure(tmp_path, texts | {"twin.md": texts["anchor.md"]})
    refresh(config)
    save(
        tmp_path / "notes",
        {"anchor.md": None, "buoy.md": texts["buoy.md"].replace("row 3", "row three"), "chart.md": None},
    )
    with context(config) as shared:
        changes = prepared(shared).changes
        written = changes.upserts.frame(["key", "id"], ROWS)
        gone = [part["id"].to_list() for part in changes.outdated.slices()]
    key = {name: document_key("notes", f"{name}.md") for name in ("anchor", "buoy", "chart", "dock", "twin")}
    held = rows(config)
    assert sorted(changes.dropped) == sorted([key["anchor"], key["chart"]])
    assert set(changes.sizes["key"]) == {key["buoy"], key["twin"]}  # the twin takes the place of the anchor
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
        changes = prepared(shared).changes
    assert (changes.changes, changes.tokens, changes.sizes.height) == (False, 0, 0)
