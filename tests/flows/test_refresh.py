"""A night end to end: what is added, re-used, refused, moved and published, and what is recorded."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import lancedb
import numpy as np
import pytest
from corpus import NOTES, Scripted, configure, documents, found, prose, rows, save

from flows.audit import audit
from flows.config import Config
from flows.refresh import RunResult, refresh
from flows.rollback import rollback
from storage.errors import InputError
from storage.quarantine import Quarantine
from storage.reader import Reader
from storage.registry import Registry
from storage.releases import Releases
from storage.runs import Runs
from storage.schemas import vectors_table
from storage.store import Store

PARTS = ("added", "changed", "moved", "unchanged", "duplicates", "quarantined")


def night(config: Config, *, accept_deletions: bool = False) -> RunResult:
    """A refresh, its invariants checked."""
    result = refresh(config, accept_deletions=accept_deletions)
    counts = result.counts
    assert counts["documents"] == sum(counts[part] for part in PARTS)
    assert counts["chunks"] == counts["embedded"] + counts["reused"]
    return result


def counted(result: RunResult) -> dict[str, int]:
    """The counts of documents that are not zero."""
    return {name: result.counts[name] for name in (*PARTS, "deleted") if result.counts[name]}


def held(config: Config) -> list[tuple[str, str, int]]:
    rows = Quarantine(Store(config.store.uri)).all()
    return sorted((row["document"], row["rule"], row["attempts"]) for row in rows)


def script(base: Path, *listed: dict[str, Any], **sections: Any) -> Config:
    Scripted.write(base / "script.json", listed)
    return configure(base, sources=[Scripted.config()], **sections)


def item(name: str, text: str | None = None, **facts: Any) -> dict[str, Any]:
    return {"id": name, "text": prose(name) if text is None else text, **facts}


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
    first = night(config)
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


def test_a_source_that_leaves_the_configuration_needs_approval(tmp_path: Path) -> None:
    save(tmp_path / "wiki", {"a.md": prose("wiki")})
    both = [NOTES, {**NOTES, "name": "wiki", "path": "wiki"}]
    limits = {"max_lost_share": 0.2}
    night(configure(tmp_path, {"a.md": prose("anchor")}, sources=both, limits=limits))
    one = configure(tmp_path, sources=both[:1], limits=limits)
    stopped = night(one)
    assert (stopped.outcome, stopped.release, counted(stopped)) == ("needs-approval", 1, {"unchanged": 1, "deleted": 1})
    assert "source 'wiki' lost 1 of its 1 documents" in stopped.message
    assert "is not configured any more" in stopped.message
    assert len(documents(one)) == 2
    agreed = night(one, accept_deletions=True)
    assert (agreed.outcome, agreed.release, list(documents(one))) == ("published", 2, ["notes/a.md"])


def test_a_source_that_is_suddenly_empty_stops_and_keeps_its_quarantine(tmp_path: Path) -> None:
    files = {"a.md": prose("anchor"), "b.md": prose("buoy"), "empty.md": ""}
    config = configure(tmp_path, files, limits={})
    night(config)
    save(tmp_path / "notes", dict.fromkeys(files))
    stopped = night(config)
    assert (stopped.outcome, stopped.counts["deleted"]) == ("needs-approval", 2)
    assert held(config) == [("empty.md", "content-present", 1)]
    assert Runs(Store(config.store.uri)).get(stopped.run)["outcome"] == "needs-approval"
    assert len(documents(config)) == 2
    assert night(config, accept_deletions=True).outcome == "published"
    assert (documents(config), held(config)) == ({}, [])


def test_a_renamed_folder_needs_no_approval(tmp_path: Path) -> None:
    config = configure(tmp_path, {f"old/{n}.md": prose(f"word{n}") for n in range(5)}, limits={})
    night(config)
    (tmp_path / "notes" / "old").rename(tmp_path / "notes" / "new")
    result = night(config)
    assert (result.outcome, counted(result), result.counts["embedded"]) == ("published", {"moved": 5}, 0)


def test_too_many_refused_documents_stop_the_run(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor"), "b.md": prose("buoy")}, limits={"refused_floor": 1})
    night(config)
    save(tmp_path / "notes", {f"{n}.md": "" for n in range(3)})
    stopped = night(config)
    assert (stopped.outcome, stopped.release) == ("refused", 1)
    assert "3 of 5 documents were refused (60%; allowed 50%)" in stopped.message
    assert len(held(config)) == 3  # the reasons stay, although nothing was published
    assert night(config).outcome == "refused"  # held rows count as much


def test_a_batch_that_fails_an_expectation_of_the_users_publishes_nothing(tmp_path: Path) -> None:
    rule = "- expectation: expect_table_row_count_to_be_between\n  kwargs: {max_value: 2}\n  reason: too many at once\n"
    save(tmp_path, {"rules.yaml": rule})
    config = configure(tmp_path, {"a.md": prose("anchor")}, validation={"expectations": "rules.yaml"})
    assert night(config).outcome == "published"
    save(tmp_path / "notes", {f"{n}.md": prose(f"word{n}") for n in range(3)})
    stopped = night(config)
    assert (stopped.outcome, stopped.release, list(documents(config))) == ("refused", 1, ["notes/a.md"])
    assert "too many at once, observed 3" in stopped.message
    save(tmp_path / "notes", {"0.md": None})
    assert counted(night(config)) == {"added": 2, "unchanged": 1}


def test_a_refused_document_leaves_the_index_and_returns_when_mended(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor"), "b.md": prose("buoy")})
    night(config)
    save(tmp_path / "notes", {"a.md": "\x01 broken"})
    refused = night(config)
    assert (refused.outcome, counted(refused)) == ("published", {"unchanged": 1, "quarantined": 1})
    assert {row["document"] for row in rows(config)} == {"b.md"}
    assert held(config) == [("a.md", "no-control-characters", 1)]
    save(tmp_path / "notes", {"a.md": "\x01 broken still"})
    assert night(config).outcome == "unchanged"
    assert held(config) == [("a.md", "no-control-characters", 2)]
    save(tmp_path / "notes", {"a.md": prose("anchor")})
    mended = night(config)
    assert (counted(mended), mended.counts["embedded"], held(config)) == ({"added": 1, "unchanged": 1}, 0, [])


def test_a_new_rule_judges_every_document_again(tmp_path: Path) -> None:
    config = configure(tmp_path, {"short.md": "Short.", "long.md": prose("anchor", 3)})
    night(config)
    strict = configure(tmp_path, validation={"min_chars": 20})
    result = night(strict)
    assert (counted(result), result.causes) == ({"unchanged": 1, "quarantined": 1}, {"rules": 1, "refused": 1})
    assert (result.counts["embedded"], held(strict)) == (0, [("short.md", "content-length", 1)])
    lenient = night(config)  # the rule goes: what it refused is tried again
    assert (counted(lenient), held(config)) == ({"added": 1, "unchanged": 1}, [])
    assert night(config).outcome == "unchanged"


def test_what_was_refused_by_a_run_that_did_not_publish_leaves_the_index_later(tmp_path: Path) -> None:
    files = {f"{n}.md": prose(f"word{n}") for n in range(5)}
    config = configure(tmp_path, files, limits={})
    night(config)
    save(tmp_path / "notes", {"0.md": "", "1.md": None, "2.md": None})
    assert night(config).outcome == "needs-approval"
    save(tmp_path / "notes", {name: files[name] for name in ("1.md", "2.md")})
    result = night(config)
    assert (result.outcome, counted(result)) == ("published", {"unchanged": 4, "quarantined": 1})
    assert {row["document"] for row in rows(config)} == {"1.md", "2.md", "3.md", "4.md"}


def test_what_a_rollback_brings_back_is_refused_again(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor"), "b.md": prose("buoy")})
    night(config)
    save(tmp_path / "notes", {"a.md": ""})
    night(config)
    rollback(config)
    assert {row["document"] for row in rows(config)} == {"a.md", "b.md"}
    again = night(config)
    assert (again.outcome, counted(again)) == ("published", {"unchanged": 1, "quarantined": 1})
    assert {row["document"] for row in rows(config)} == {"b.md"}


def test_a_document_that_cannot_be_read_keeps_its_old_version(tmp_path: Path) -> None:
    config = script(tmp_path, item("a"), item("b"))
    night(config)
    listed = [item("a", revision="r2"), item("b"), item("c")]
    broken = [item("a", "", problem="permission denied"), item("b"), item("c", "", problem="permission denied")]
    Scripted.write(tmp_path / "script.json", listed, [broken])
    result = night(config)
    assert (result.outcome, counted(result)) == ("unchanged", {"unchanged": 2, "quarantined": 1})
    assert result.counts["unreadable"] == 1
    assert held(config) == [("a", "readable", 1), ("c", "readable", 1)]
    night(config)
    assert held(config) == [("a", "readable", 2), ("c", "readable", 2)]  # tried every night
    Scripted.write(tmp_path / "script.json", listed)
    assert (counted(night(config)), held(config)) == ({"added": 1, "unchanged": 2}, [])


def test_what_vanishes_between_listing_and_reading_is_left_for_the_next_night(tmp_path: Path) -> None:
    config = script(tmp_path, item("a"), item("b"))
    night(config)
    listed = [item("a", revision="r2"), item("b"), item("c")]
    Scripted.write(tmp_path / "script.json", listed, [[item("b")]])
    result = night(config)
    assert (result.outcome, counted(result)) == ("unchanged", {"unchanged": 2})
    assert list(documents(config)) == ["script/a", "script/b"]


def test_of_two_rows_with_one_id_the_first_is_kept(tmp_path: Path) -> None:
    config = script(tmp_path, item("a"), item("a", "Another text with the same id."), item("b"))
    result = night(config)
    assert (counted(result), held(config)) == ({"added": 2, "quarantined": 1}, [("a", "id-unique", 1)])
    assert documents(config)["script/a"]["text"] == prose("a")
    assert counted(night(config)) == {"unchanged": 2, "quarantined": 1}
    Scripted.write(tmp_path / "script.json", [item("a", "Another text with the same id.", revision="r2"), item("b")])
    assert (counted(night(config)), held(config)) == ({"changed": 1, "unchanged": 1}, [])


def test_a_second_row_that_equals_the_first_is_refused_too(tmp_path: Path) -> None:
    config = script(tmp_path, item("a"), item("b"))
    night(config)
    Scripted.write(tmp_path / "script.json", [item("a"), item("b"), item("a"), item("a")])
    result = night(config)
    assert (result.outcome, counted(result)) == ("unchanged", {"unchanged": 2, "quarantined": 2})
    save(tmp_path, {})
    assert counted(night(config)) == {"unchanged": 2, "quarantined": 2}


def test_rows_of_one_id_in_different_slices_are_told_apart(tmp_path: Path) -> None:
    first, second = item("a"), item("a", "Another text with the same id.")
    Scripted.write(tmp_path / "script.json", [first, item("b"), second], [[first], [item("b")], [second]])
    config = configure(tmp_path, sources=[Scripted.config()])
    assert counted(night(config)) == {"added": 2, "quarantined": 1}
    changed = item("a", "A third text.", revision="r2")
    Scripted.write(tmp_path / "script.json", [changed, item("b"), second], [[changed], [item("b")], [second]])
    result = night(config)
    assert (counted(result), held(config)) == (
        {"changed": 1, "unchanged": 1, "quarantined": 1},
        [("a", "id-unique", 1)],
    )
    assert documents(config)["script/a"]["text"] == "A third text."


def test_broken_lines_are_quarantined_by_number_and_the_rest_goes_on(tmp_path: Path) -> None:
    lines = [
        '{"id": "a", "text": "A good line."}',
        '{"id": "b", "text": ',
        '{"id": "c"}',
        '{"id": "d", "text": "Another."}',
    ]
    save(tmp_path, {"notes.jsonl": "\n".join(lines)})
    config = configure(tmp_path, sources=[{"name": "lines", "kind": "jsonl", "path": "notes.jsonl"}])
    assert counted(night(config)) == {"added": 2, "quarantined": 2}
    assert held(config) == [("c", "readable", 1), ("notes.jsonl#L2", "readable", 1)]
    assert night(config).outcome == "unchanged"
    assert [attempts for _, _, attempts in held(config)] == [1, 1]


def test_another_chunker_cuts_everything_anew_and_embeds_only_new_cuts(tmp_path: Path) -> None:
    files = {"short.md": "One short sentence.", "long.md": prose("anchor", 8)}
    config = configure(tmp_path, files)
    night(config)
    coarse = configure(tmp_path, chunker={"min_tokens": 30, "max_tokens": 90})
    result = night(coarse)
    assert (result.outcome, counted(result), result.causes) == ("published", {"unchanged": 2}, {"chunker": 2})
    assert result.counts["reused"] >= 1  # the short document is one chunk under either
    assert result.counts["embedded"] >= 1
    assert night(coarse).outcome == "unchanged"
    back = night(config)
    assert (back.counts["embedded"], back.counts["chunks"]) == (0, len(rows(config, 1)))
    assert [row["hash"] for row in rows(config)] == [row["hash"] for row in rows(config, 1)]
    assert audit(config, deep=True).ok


def test_another_encoder_fills_a_table_of_its_own_and_the_way_back_embeds_nothing(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor"), "b.md": prose("buoy"), "c.md": prose("buoy")})
    first = night(config)
    other = configure(tmp_path, encoder={"name": "stub:7"})
    second = night(other)
    assert (second.counts["embedded"], second.causes["encoder"]) == (first.counts["chunks"], 2)
    assert second.space != first.space
    assert Reader.open(config.store.uri, 1).release.chunks != Reader.open(config.store.uri, 2).release.chunks
    for release in (1, 2):  # each is asked with the encoder that it keeps
        assert found(config, "row of the anchor", 1, release)[0].document == "a.md"
    save(tmp_path / "notes", {"d.md": prose("dock")})
    third = night(config)
    docks = sum(row["document"] == "d.md" for row in rows(config))
    assert (third.counts["embedded"], third.space) == (docks, first.space)
    assert audit(config, deep=True).ok


def test_weights_changed_in_place_are_another_space(tmp_path: Path, tiny_model: Path) -> None:
    from tiny import nudge

    model = tmp_path / "model"
    shutil.copytree(tiny_model, model)
    config = configure(tmp_path, {"a.md": prose("anchor")}, encoder={"name": "model"})
    first = night(config)
    nudge(model)
    second = night(config)
    assert (second.outcome, second.counts["embedded"]) == ("published", first.counts["chunks"])
    assert second.space != first.space
    assert found(config, "anchor", 1, release=1)[0].document == "a.md"
    assert night(config).outcome == "unchanged"


def test_the_same_weights_at_another_path_or_device_are_the_same_space(tmp_path: Path, tiny_model: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor")}, encoder={"name": str(tiny_model)})
    night(config)
    shutil.copytree(tiny_model, tmp_path / "copy")
    moved = configure(tmp_path, encoder={"name": "copy", "device": "cpu", "batch_tokens": 64})
    assert night(moved).outcome == "unchanged"


def test_an_index_is_built_over_the_floor_and_extended_the_next_night(tmp_path: Path) -> None:
    files = {f"{n:03}.md": prose(f"word{n}", 8) for n in range(40)}
    config = configure(tmp_path, files, index={"min_rows": 256})
    result = night(config)
    facts = Releases(Store(config.store.uri)).get().facts
    assert (facts["index"]["kind"], facts["index"]["rows"]) == ("IVF_RQ", result.counts["chunks"])
    assert facts["index"]["recall"] >= 0.9
    save(tmp_path / "notes", {"new.md": prose("lighthouse", 8), "000.md": None})
    night(config)
    checks = {check.name: check for check in audit(config).checks}
    assert checks["index.coverage"].detail == "100.0% of the rows are in the index"
    assert checks["index.recall"].ok
    assert {hit.document for hit in found(config, "row 3 of the lighthouse", 5)} == {"new.md"}
    assert "000.md" not in {hit.document for hit in found(config, "row 3 of the word0", 20)}
    assert {hit.document for hit in found(config, "row 3 of the word0", 3, release=1)} == {"000.md"}

    cut = configure(tmp_path, index={"min_rows": 256}, chunker={"min_tokens": 4, "max_tokens": 12})
    night(cut)  # every row is written anew: the index starts again
    checks = {check.name: check for check in audit(cut).checks}
    assert (checks["index.coverage"].detail, checks["index.recall"].ok) == ("100.0% of the rows are in the index", True)

    save(tmp_path / "notes", dict.fromkeys(list(files)[1:]))
    night(cut)  # few rows are left: compared one by one
    assert Releases(Store(config.store.uri)).get().facts["index"]["kind"] == "exact"
    assert {hit.document for hit in found(cut, "row 3 of the lighthouse", 5)} == {"new.md"}


def test_old_releases_expire_with_the_tables_and_encoders_that_only_they_need(tmp_path: Path) -> None:
    keep = {"releases": {"keep": 2}}
    first = night(configure(tmp_path, {"a.md": prose("anchor")}, **keep))
    config = configure(tmp_path, encoder={"name": "stub:7"}, **keep)
    night(config)
    store, registry = Store(config.store.uri), Registry(Store(config.store.uri))
    old = Releases(store).get(1).chunks
    assert store.find(old) is not None and registry.has(first.space)
    save(tmp_path / "notes", {"b.md": prose("buoy")})
    last = night(config)
    assert (store.find(old), registry.has(first.space), registry.has(last.space)) == (None, False, True)
    assert store.find(vectors_table(last.space)) is None  # staged vectors lie in the release now
    assert [release.seq for release in Releases(store).retained()] == [3, 2]
    with pytest.raises(InputError, match="release 1 is no longer kept"):
        Reader.open(config.store.uri, 1)
    with pytest.raises(InputError, match="one of: 3, 2"):
        rollback(config, 1)
    assert audit(config, deep=True).ok


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
        "validate",
        "deduplicate",
        "chunk",
        "gate",
        "embed",
        "write",
        "index",
        "audit",
        "publish",
        "tidy",
    ]
    assert [*sorted(stages), "total"] == [name for name in sorted(row["seconds"]) if name != "total"] + ["total"]
    assert row["data"]["sources"]["notes"]["documents"] == 1
    release = Releases(Store(config.store.uri)).get()
    assert (row["data"]["tables"], row["model"]["id"], release.run) == (release.tables, release.space, result.run)
    assert row["model"]["stub"] is True and release.facts["encoder"]["stub"] is True
    assert {"pylance", "polars"} <= set(row["libraries"])
    assert row["config"]["sources"][0]["path"] == "notes"
    assert release.facts["audit"]["ok"] is True


def test_a_failure_is_recorded_and_leaves_the_last_release(tmp_path: Path) -> None:
    config = script(tmp_path, item("a"))
    night(config)
    (tmp_path / "script.json").write_text("no script")
    with pytest.raises(ValueError, match="Expecting value"):
        refresh(config)
    row = Runs(Store(config.store.uri)).all()[0]
    assert (row["outcome"], row["release"], row["base"]) == ("failed", None, 1)
    assert row["message"].startswith("JSONDecodeError: Expecting value")
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
    config = configure(tmp_path, {"a.md": prose("anchor"), "b.md": prose("buoy")})
    night(config)
    release = Releases(Store(config.store.uri)).get()
    table = lancedb.connect(config.store.uri).open_table(release.chunks)
    table.checkout(release.tables[release.chunks])
    vector = np.array(next(row["vector"] for row in rows(config) if row["document"] == "b.md"))
    assert table.search(vector).distance_type("cosine").limit(1).to_list()[0]["document"] == "b.md"
