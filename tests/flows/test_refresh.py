"""A night end to end: what is added, re-used, moved and published, and what is recorded."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from corpus import (
    NOTES,
    Scripted,
    configure,
    counted,
    documents,
    found,
    held,
    item,
    night,
    prose,
    rows,
    save,
    script,
)

from flows.audit import audit
from flows.refresh import refresh
from storage.errors import InputError, SourceFailed
from storage.tables.releases import Releases
from storage.tables.runs import Runs
from storage.tables.store import Store


def test_a_folder_that_holds_the_store_does_not_index_it(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor")}, store={"uri": "notes/store"})
    assert counted(night(config)) == {"added": 1}
    assert (tmp_path / "notes" / "store" / "data_docs" / "index.html").exists()
    assert night(config).outcome == "unchanged"


def test_a_first_night_publishes_every_document(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor"), "sub/b.md": prose("buoy", 4)})
    result = night(config)
    assert (result.outcome, result.release) == ("published", 1)
    assert counted(result) == {"added": 2}
    assert result.counts["embedded"] == result.counts["chunks"] == len(rows(config)) > 2
    held_documents = documents(config)
    assert list(held_documents) == ["notes/a.md", "notes/sub/b.md"]
    for row in rows(config):
        document = held_documents[f"notes/{row['document']}"]
        assert document["text"][row["start"] : row["end"]] == row["text"]
    [hit] = found(config, "row 3 column 2 of the buoy", 1)
    assert (hit.document, hit.title) == ("sub/b.md", "Buoy")


def test_a_night_without_change_embeds_nothing_and_publishes_nothing(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor"), "bad.md": b"\xff\xfe\xff"})
    first = night(config)
    second = night(config)
    assert (second.outcome, second.release, second.counts["embedded"]) == ("unchanged", 1, 0)
    assert counted(second) == {"unchanged": 1, "quarantined": 1}
    assert second.counts["reused"] == first.counts["chunks"]
    assert held(config) == [("bad.md", "valid-utf8", 1)]
    assert [row["outcome"] for row in Runs(Store(config.store.uri)).all()] == ["unchanged", "published"]


def test_an_empty_folder_makes_an_empty_release_that_fills_later(tmp_path: Path) -> None:
    config = configure(tmp_path)
    first = night(config, accept_empty=True)
    assert (first.outcome, first.release, counted(first)) == ("published", 1, {})
    assert found(config, "anything") == []
    assert night(config).outcome == "unchanged"
    save(tmp_path / "notes", {"a.md": prose("anchor")})
    assert counted(night(config)) == {"added": 1}
    assert found(config, "anchor", 1)[0].document == "a.md"


def test_edits_moves_deletions_and_arrivals_are_counted_once_each(tmp_path: Path) -> None:
    names = ["anchor", "buoy", "chart", "dock", "ebb"]
    config = configure(tmp_path, {f"{name}.md": prose(name, 6) for name in names})
    before = night(config)
    notes = tmp_path / "notes"
    (notes / "buoy.md").rename(notes / "moved.md")
    (notes / "chart.md").unlink()
    text = prose("dock", 6)
    save(
        notes,
        {"dock.md": text.replace("\n\n", "\n\nOne more sentence stands here.\n\n", 1), "flood.md": prose("flood")},
    )
    (notes / "ebb.md").touch()
    after = night(config)
    assert counted(after) == {"added": 1, "changed": 1, "moved": 1, "unchanged": 2, "deleted": 1}
    assert after.causes == {
        "new": 2,
        "content": 1,
        "moved": 1,
        "deleted": 1,
        "moved-chunks": after.causes["moved-chunks"],
    }
    flood = sum(row["document"] == "flood.md" for row in rows(config))
    assert flood < after.counts["embedded"] <= flood + 2
    assert after.counts["embedded"] < before.counts["embedded"]
    assert {row["document"] for row in rows(config)} == {"anchor.md", "moved.md", "dock.md", "ebb.md", "flood.md"}
    assert audit(config, deep=True).failed == []


def test_one_sentence_in_a_document_of_forty_chunks_embeds_at_most_two(tmp_path: Path) -> None:
    paragraphs = prose("anchor", 60).split("\n\n")
    config = configure(tmp_path, {"a.md": "\n\n".join(paragraphs)})
    assert night(config).counts["chunks"] >= 40
    paragraphs.insert(30, "One more sentence stands here.")
    save(tmp_path / "notes", {"a.md": "\n\n".join(paragraphs)})
    assert 1 <= night(config).counts["embedded"] <= 2


def test_a_touched_file_is_no_change_and_is_read_once_more_only(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor"), "b.md": prose("buoy")})
    night(config)
    (tmp_path / "notes" / "a.md").touch()
    touched = night(config)
    assert (touched.outcome, touched.counts["touched"], counted(touched)) == ("unchanged", 1, {"unchanged": 2})
    save(tmp_path / "notes", {"c.md": prose("chart")})
    assert night(config).counts["touched"] == 1  # the release carries the new revision
    assert night(config).counts["touched"] == 0


def test_an_edit_that_keeps_size_and_time_is_seen(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": "The tide is high.", "b.md": prose("buoy")})
    night(config)
    file = tmp_path / "notes" / "a.md"
    times = file.stat().st_atime_ns, file.stat().st_mtime_ns
    file.write_text("The tide is gone.")
    os.utime(file, ns=times)
    assert counted(night(config)) == {"changed": 1, "unchanged": 1}
    assert [row["text"] for row in rows(config) if row["document"] == "a.md"] == ["The tide is gone."]


def test_metadata_alone_embeds_nothing_and_shows_in_the_search(tmp_path: Path) -> None:
    config = script(tmp_path, item("a", title="Old", licence="MIT"), item("b"))
    night(config)
    Scripted.write(
        tmp_path / "script.json",
        [item("a", title="New", licence="CC0-1.0", revision="r2", queries=["why?"]), item("b")],
    )
    result = night(config)
    assert (result.outcome, counted(result), result.causes) == (
        "published",
        {"changed": 1, "unchanged": 1},
        {"metadata": 1},
    )
    assert result.counts["embedded"] == 0
    assert {hit.title for hit in found(config, "row of the a", 9) if hit.document == "a"} == {"New"}
    assert {hit.title for hit in found(config, "row of the a", 9, release=1) if hit.document == "a"} == {"Old"}
    row = documents(config)["script/a"]
    assert (row["licence"], row["queries"], row["run"]) == ("CC0-1.0", ["why?"], result.run)


def test_equal_documents_share_one_embedding_and_survive_each_other(tmp_path: Path) -> None:
    text = prose("anchor")
    config = configure(tmp_path, {"a.md": text, "b.md": text, "c.md": prose("chart")})
    first = night(config)
    assert counted(first) == {"added": 2, "duplicates": 1}
    assert {row["document"] for row in rows(config)} == {"a.md", "c.md"}
    assert documents(config)["notes/b.md"]["duplicate_of"] == documents(config)["notes/a.md"]["key"]

    save(tmp_path / "notes", {"a.md": None})  # the indexed one goes, the other takes its place
    second = night(config)
    assert (counted(second), second.counts["embedded"]) == ({"unchanged": 2, "deleted": 1}, 0)
    assert {row["document"] for row in rows(config)} == {"b.md", "c.md"}

    save(tmp_path / "notes", {"a.md": text})  # it comes back, and with the smaller id it is the indexed one again
    third = night(config)
    assert (counted(third), third.counts["embedded"]) == ({"added": 1, "unchanged": 1, "duplicates": 1}, 0)
    assert {row["document"] for row in rows(config)} == {"a.md", "c.md"}

    save(tmp_path / "notes", {"b.md": None})  # the duplicate goes, nothing in the index changes
    fourth = night(config)
    assert (counted(fourth), fourth.outcome) == ({"unchanged": 2, "deleted": 1}, "published")
    assert audit(config, deep=True).ok


def test_two_sources_may_use_the_same_id(tmp_path: Path) -> None:
    save(tmp_path / "wiki", {"a.md": prose("wiki")})
    config = configure(tmp_path, {"a.md": prose("anchor")}, sources=[NOTES, {**NOTES, "name": "wiki", "path": "wiki"}])
    assert counted(night(config)) == {"added": 2}
    assert {(hit.source, hit.document) for hit in found(config, "row", 20)} == {("notes", "a.md"), ("wiki", "a.md")}
    save(tmp_path / "wiki", {"a.md": prose("anchor")})
    assert counted(night(config)) == {"unchanged": 1, "duplicates": 1}


def test_a_run_records_what_went_in_and_what_came_out(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor")})
    result = refresh(config, trigger="cron")
    row = Runs(Store(config.store.uri)).get(result.run)
    assert (row["kind"], row["trigger"], row["outcome"], row["base"], row["release"]) == (
        "refresh",
        "cron",
        "published",
        None,
        1,
    )
    assert row["counts"] == result.counts
    stages = [
        "scan",
        "plan",
        "read",
        "validate",
        "deduplicate",
        "chunk",
        "canary",
        "gate",
        "embed",
        "write",
        "index",
        "audit",
        "evaluate",
        "drift",
        "publish",
        "clean_up",
    ]
    assert [*sorted(stages), "total"] == [name for name in sorted(row["seconds"]) if name != "total"] + ["total"]
    assert row["data"]["sources"]["notes"]["documents"] == 1
    release = Releases(Store(config.store.uri)).get()
    assert (row["data"]["tables"], row["model"]["id"], release.run) == (release.tables, release.space, result.run)
    assert row["model"]["stub"] is True and release.text.encoder.stub is True
    assert {"pylance", "polars"} <= set(row["libraries"])
    assert row["config"]["sources"][0]["path"] == "notes"
    assert release.audit["ok"] is True


def test_a_failure_is_recorded_and_leaves_the_last_release(tmp_path: Path) -> None:
    config = script(tmp_path, item("a"))
    night(config)
    (tmp_path / "script.json").write_text("no script")
    with pytest.raises(SourceFailed, match=r"source 'script': .*Expecting value"):
        refresh(config)
    row = Runs(Store(config.store.uri)).all()[0]
    assert (row["outcome"], row["release"], row["base"]) == ("failed", None, 1)
    assert "JSONDecodeError: Expecting value" in row["message"]
    assert list(documents(config)) == ["script/a"]
    Scripted.write(tmp_path / "script.json", [item("a"), item("b")])
    assert counted(night(config)) == {"added": 1, "unchanged": 1}


def test_a_wrong_configuration_writes_nothing(tmp_path: Path) -> None:
    config = configure(tmp_path)
    (tmp_path / "notes").rmdir()
    with pytest.raises(InputError, match="does not exist"):
        refresh(config)
    assert not (tmp_path / "store").exists()
    with pytest.raises(InputError, match="there is nothing to index"):
        refresh(configure(tmp_path, sources=[]))


def test_lancedb_searches_what_was_published(tmp_path: Path) -> None:
    import lancedb  # two seconds, which no other test needs

    config = configure(tmp_path, {"a.md": prose("anchor"), "b.md": prose("buoy")})
    night(config)
    release = Releases(Store(config.store.uri)).get()
    table = lancedb.connect(config.store.uri).open_table(release.chunks)
    table.checkout(release.tables[release.chunks])
    vector = np.array(next(row["vector"] for row in rows(config) if row["document"] == "b.md"))
    assert table.search(vector).distance_type("cosine").limit(1).to_list()[0]["document"] == "b.md"
