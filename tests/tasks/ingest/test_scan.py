"""Listing the sources: one row an item, repeated ids told apart."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from corpus import NOTES, Scripted, configure, context, save

from storage.hashing import document_key
from storage.sources import open_source, parse_source
from tasks.ingest.scan import LISTED, listing, scan


def listed(base: Path, *items: dict[str, str]) -> pl.DataFrame:
    Scripted.write(base / "script.json", items)
    return listing(open_source(parse_source(Scripted.config()), base))


def test_every_item_has_the_key_of_its_document(tmp_path: Path) -> None:
    frame = listed(tmp_path, {"id": "a"}, {"id": "b", "revision": "r7", "problem": "broken"})
    assert frame.schema == LISTED
    assert frame.to_dicts() == [
        {"source": "script", "id": "a", "key": key, "row": key, "occurrence": 1, "revision": "r1", "problem": None}
        for key in [document_key("script", "a")]
    ] + [
        {"source": "script", "id": "b", "key": key, "row": key, "occurrence": 1, "revision": "r7", "problem": "broken"}
        for key in [document_key("script", "b")]
    ]


def test_rows_of_one_id_share_its_key_and_have_rows_of_their_own(tmp_path: Path) -> None:
    frame = listed(tmp_path, {"id": "a"}, {"id": "b"}, {"id": "a"}, {"id": "a"})
    key = document_key("script", "a")
    mine = frame.filter(pl.col("id") == "a")
    assert mine["key"].to_list() == [key] * 3
    assert mine["occurrence"].to_list() == [1, 2, 3]
    assert mine["row"][0] == key
    assert frame["row"].n_unique() == 4
    assert (
        listed(tmp_path, {"id": "a"}, {"id": "a"})["row"].to_list() == mine["row"].to_list()[:2]
    )  # the same each night


def test_an_empty_source_lists_no_rows_of_the_same_shape(tmp_path: Path) -> None:
    assert listed(tmp_path).schema == LISTED
    assert listed(tmp_path).is_empty()


def test_all_sources_are_listed_with_a_version_each(tmp_path: Path) -> None:
    save(tmp_path / "wiki", {"a.md": "wiki", "b.md": "wiki"})
    config = configure(tmp_path, {"a.md": "note"}, sources=[NOTES, {**NOTES, "name": "wiki", "path": "wiki"}])
    with context(config) as shared:
        first, again = scan(shared), scan(shared)
        save(tmp_path / "wiki", {"b.md": "edited"})
        edited = scan(shared)
    assert first.counts == {"notes": 1, "wiki": 2}
    assert first.listed.select("source", "id").rows() == [("notes", "a.md"), ("wiki", "a.md"), ("wiki", "b.md")]
    assert first.versions == again.versions
    assert first.versions["notes"] == edited.versions["notes"]
    assert first.versions["wiki"] != edited.versions["wiki"]


@pytest.mark.parametrize("change", [{"id": "c"}, {"id": "a", "revision": "r2"}])
def test_the_version_of_a_source_follows_ids_and_revisions(tmp_path: Path, change: dict[str, str]) -> None:
    config = configure(tmp_path, sources=[Scripted.config()])
    versions = []
    for items in ([{"id": "a"}], [change]):
        Scripted.write(tmp_path / "script.json", items)
        with context(config) as shared:
            versions.append(scan(shared).versions["script"])
    assert versions[0]["documents"] == versions[1]["documents"] == 1
    assert versions[0]["digest"] != versions[1]["digest"]
