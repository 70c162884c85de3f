"""Nights that refuse: documents in quarantine, sources that lost too much, ids that come again."""

from __future__ import annotations

from pathlib import Path

import pytest
from corpus import (
    NOTES,
    Scripted,
    configure,
    counted,
    documents,
    held,
    item,
    night,
    prose,
    rows,
    save,
    script,
)

from flows.rollback import rollback
from storage.tables.quarantine import Quarantine
from storage.tables.runs import Runs
from storage.tables.store import Store

SHORT = {"max_chars": 1_000}
LONG = "A policy lets no text in that is so long. " * 30


def test_a_source_that_leaves_the_configuration_needs_approval(tmp_path: Path) -> None:
    save(tmp_path / "wiki", {"a.md": prose("wiki")})
    both = [NOTES, {**NOTES, "name": "wiki", "path": "wiki"}]
    limits = {"max_lost_share": 0.2}
    night(configure(tmp_path, {"a.md": prose("anchor")}, sources=both, limits=limits))
    one = configure(tmp_path, sources=both[:1], limits=limits)
    stopped = night(one)
    assert (stopped.outcome, stopped.release, counted(stopped)) == ("needs-approval", 1, {"unchanged": 1, "deleted": 1})
    assert "source 'wiki' lost 1 of its 1 document" in stopped.message
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


def test_an_unwanted_document_leaves_the_index_and_returns_when_it_is_wanted(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor"), "b.md": prose("buoy")}, validation=SHORT)
    night(config)
    save(tmp_path / "notes", {"a.md": LONG})
    refused = night(config)
    assert (refused.outcome, counted(refused)) == ("published", {"unchanged": 1, "quarantined": 1})
    assert {row["document"] for row in rows(config)} == {"b.md"}
    assert held(config) == [("a.md", "content-length", 1)]
    save(tmp_path / "notes", {"a.md": LONG + " still"})
    assert night(config).outcome == "unchanged"
    assert held(config) == [("a.md", "content-length", 2)]
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
    config = configure(tmp_path, files, limits={}, validation=SHORT)
    night(config)
    save(tmp_path / "notes", {"0.md": LONG, "1.md": None, "2.md": None})
    assert night(config).outcome == "needs-approval"
    save(tmp_path / "notes", {name: files[name] for name in ("1.md", "2.md")})
    result = night(config)
    assert (result.outcome, counted(result)) == ("published", {"unchanged": 4, "quarantined": 1})
    assert {row["document"] for row in rows(config)} == {"1.md", "2.md", "3.md", "4.md"}


def test_what_a_rollback_brings_back_is_refused_again(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor"), "b.md": prose("buoy")}, validation=SHORT)
    night(config)
    save(tmp_path / "notes", {"a.md": LONG})
    night(config)
    rollback(config)
    assert {row["document"] for row in rows(config)} == {"a.md", "b.md"}
    again = night(config)
    assert (again.outcome, counted(again)) == ("published", {"unchanged": 1, "quarantined": 1})
    assert {row["document"] for row in rows(config)} == {"b.md"}


def test_refused_documents_are_counted_among_what_leaves_the_index(tmp_path: Path) -> None:
    files = {f"{n}.md": prose(f"word{n}") for n in range(10)}
    config = configure(tmp_path, files, limits={}, validation=SHORT)
    night(config)
    save(tmp_path / "notes", {"0.md": LONG, "1.md": LONG, "2.md": None})
    stopped = night(config)
    assert (stopped.outcome, len(documents(config))) == ("needs-approval", 10)
    assert (
        "source 'notes' lost 3 of its 10 documents (30%; allowed 20%) and lists 9 now (1 gone, 2 refused: "
        '"0.md", "1.md", "2.md")'
    ) in stopped.message
    assert night(config).outcome == "needs-approval"  # what is held from the night before leaves as much
    assert night(config, accept_deletions=True).outcome == "published"
    assert len(documents(config)) == 7


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


def test_a_file_that_cannot_even_be_looked_at_keeps_its_old_version(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor"), "b.md": prose("buoy")})
    night(config)
    file = tmp_path / "notes" / "a.md"
    file.unlink()
    file.symlink_to(file)
    result = night(config)
    assert (result.outcome, counted(result), result.counts["unreadable"]) == ("unchanged", {"unchanged": 2}, 1)
    assert held(config) == [("a.md", "readable", 1)]
    assert {row["document"] for row in rows(config)} == {"a.md", "b.md"}


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


def test_what_a_night_refuses_first_is_not_older_than_the_night_and_data_docs_cost_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor"), "empty.md": " "})
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "data_docs").touch()  # as a folder that may be read only: nothing can be written there
    assert night(config).outcome == "published"
    assert "the data docs are not written" in caplog.text
    store = Store(config.store.uri)
    (run,) = Runs(store).all()
    assert Quarantine(store).told()["first_seen"].to_list() == [run["started"]]
