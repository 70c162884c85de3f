"""Of equal documents one is indexed: which one depends on what is there, not on how it came."""

from __future__ import annotations

from pathlib import Path
from random import Random

import polars as pl
from corpus import configure, context, prepared, prose, save
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.refresh import refresh
from storage.hashing import document_key
from tasks.curate.deduplicate import STATE, find_duplicates, moves


def state(rows: dict[tuple[str, str], str]) -> pl.DataFrame:
    """Documents from (source, id) and content."""
    full = [
        {"key": document_key(source, name), "source": source, "id": name, "content_hash": content}
        for (source, name), content in rows.items()
    ]
    return pl.DataFrame(full, schema=STATE)


PLACES = st.tuples(st.sampled_from(["notes", "wiki"]), st.sampled_from("abcdefgh"))
CONTENTS = st.sampled_from(["red", "green", "blue"])
DOCUMENTS = st.dictionaries(PLACES, CONTENTS)


def verdicts(frame: pl.DataFrame) -> dict[str, str | None]:
    return dict(find_duplicates(frame).select("key", "duplicate_of").iter_rows())


def test_the_smallest_source_and_id_is_indexed() -> None:
    rows = {("wiki", "a"): "red", ("notes", "b"): "red", ("notes", "a"): "blue", ("notes", "c"): "red"}
    first = document_key("notes", "b")
    assert verdicts(state(rows)) == {
        document_key("wiki", "a"): first,
        first: None,
        document_key("notes", "a"): None,
        document_key("notes", "c"): first,
    }


def test_rows_keep_their_order_and_columns() -> None:
    frame = state({("notes", "b"): "red", ("notes", "a"): "red"})
    assert find_duplicates(frame).drop("duplicate_of").equals(frame)
    assert find_duplicates(frame.clear()).columns == [*STATE, "duplicate_of"]


@settings(max_examples=50, deadline=None)
@given(rows=DOCUMENTS)
def test_every_content_is_indexed_once_and_every_duplicate_points_to_it(rows: dict[tuple[str, str], str]) -> None:
    after = find_duplicates(state(rows))
    indexed = after.filter(pl.col("duplicate_of").is_null())
    contents = dict(indexed.select("key", "content_hash").iter_rows())
    assert sorted(contents.values()) == sorted(set(rows.values()))
    for key, content in (
        after.filter(pl.col("duplicate_of").is_not_null()).select("duplicate_of", "content_hash").rows()
    ):
        assert contents[key] == content


@settings(max_examples=50, deadline=None)
@given(rows=DOCUMENTS, seed=st.integers())
def test_the_order_of_documents_does_not_matter(rows: dict[tuple[str, str], str], seed: int) -> None:
    items = list(rows.items())
    Random(seed).shuffle(items)
    assert verdicts(state(rows)) == verdicts(state(dict(items)))


@settings(max_examples=50, deadline=None)
@given(nights=st.lists(DOCUMENTS, min_size=1, max_size=5))
def test_the_history_does_not_matter(nights: list[dict[tuple[str, str], str]]) -> None:
    held = state({})
    for rows in nights:  # what stays keeps its place in the table, what comes is appended
        now = state(rows)
        stay = held.join(now, on=["key", "content_hash"], how="semi", maintain_order="left")
        held = pl.concat([stay, now.join(stay, on="key", how="anti", maintain_order="left")])
    assert verdicts(held) == verdicts(state(nights[-1]))


GROUP = st.dictionaries(PLACES, CONTENTS)


@settings(max_examples=50, deadline=None)
@given(fresh=GROUP, gone=GROUP)
def test_moves_pair_one_to_one_within_source_and_content(
    fresh: dict[tuple[str, str], str], gone: dict[tuple[str, str], str]
) -> None:
    paired = moves(state(fresh), state(gone))
    assert paired["key"].n_unique() == paired["moved_from"].n_unique() == paired.height
    new, old = (
        {document_key(*place): (place[0], content) for place, content in rows.items()} for rows in (fresh, gone)
    )
    assert all(new[key] == old[before] for key, before in paired.iter_rows())
    wanted = sum(
        min(list(new.values()).count(pair), list(old.values()).count(pair)) for pair in {*new.values(), *old.values()}
    )
    assert paired.height == wanted


def test_the_stage_tells_the_moved_from_the_deleted_and_the_refused(tmp_path: Path) -> None:
    config = configure(tmp_path, {f"{name}.md": prose(name) for name in "abcd"})
    refresh(config)
    (tmp_path / "notes" / "a.md").rename(tmp_path / "notes" / "e.md")
    long = "x" * 5_000_001  # a policy
    save(tmp_path / "notes", {"b.md": None, "c.md": long, "f.md": prose("d")})
    with context(config) as shared:
        deduplicated = prepared(shared, config).deduplicated
    keys = {name: document_key("notes", f"{name}.md") for name in "abcdef"}
    assert dict(deduplicated.after.select("key", "duplicate_of").iter_rows()) == {
        keys["d"]: None,
        keys["e"]: None,
        keys["f"]: keys["d"],
    }
    assert deduplicated.moved.rows() == [(keys["e"], keys["a"])]
    assert deduplicated.deleted["key"].to_list() == [keys["b"]]
    assert deduplicated.refused["key"].to_list() == [keys["c"]]
    assert deduplicated.counts == {"documents": 3, "duplicates": 1, "moved": 1, "deleted": 1, "stale": 0}


def test_a_stale_document_keeps_its_content_and_its_place_among_its_duplicates(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("a"), "b.md": prose("a")})
    refresh(config)
    save(tmp_path / "notes", {"a.md": "", "c.md": prose("a")})
    with context(config) as shared:
        deduplicated = prepared(shared, config).deduplicated
    keys = {name: document_key("notes", f"{name}.md") for name in "abc"}
    wanted = {keys["a"]: None, keys["b"]: keys["a"], keys["c"]: keys["a"]}
    assert dict(deduplicated.after.select("key", "duplicate_of").iter_rows()) == wanted
    assert deduplicated.stale.rows() == [(keys["a"], "notes", "a.md", None)]
    assert deduplicated.newly_stale.height == 1
