"""Nights that find documents broken: their last good versions stay, are told as stale, and too many at once stop."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from corpus import NOTES, configure, counted, documents, found, held, night, prose, rows, save

from flows.config.schema import Config
from flows.plan import plan
from flows.refresh import RunResult, refresh
from flows.rollback import rollback
from storage.tables.quarantine import Quarantine
from storage.tables.store import Store

DATED = {"id": "id", "text": "body", "timestamp": "t"}


def table(base: Path, **changes: dict[str, Any]) -> Config:
    """Forty rows with a date each, some of them changed."""
    plain = {f"r{n}": {"id": f"r{n}", "body": prose(f"row{n}"), "t": "2024-01-05"} for n in range(40)}
    lines = [json.dumps(row | changes.get(name, {})) for name, row in plain.items()]
    save(base, {"rows.jsonl": "\n".join(lines) + "\n"})
    source = {"name": "rows", "kind": "jsonl", "path": "rows.jsonl", "columns": DATED}
    return configure(base, sources=[source], limits={})


def stale(config: Config) -> list[str]:
    """Documents that the quarantine tells as stale."""
    return sorted(row["document"] for row in Quarantine(Store(config.store.uri)).all() if row["stale_since"])


def every(result: RunResult) -> tuple[str, dict[str, int], int]:
    """Outcome, counts of documents and how many are stale."""
    return result.outcome, counted(result), result.counts["stale"]


def test_a_column_that_breaks_in_half_a_table_takes_nothing_out(tmp_path: Path) -> None:
    night(table(tmp_path))
    config = table(tmp_path, **{f"r{n}": {"body": {"html": "soon"}} for n in range(19)})
    forecast = plan(config)
    assert (forecast.outcome, forecast.causes) == ("needs-approval", {"stale": 19})
    stopped = night(config)
    assert (stopped.outcome, stopped.release) == ("needs-approval", 1)
    assert stopped.message == forecast.message
    assert stopped.message.startswith(
        "source 'rows' is broken in 19 of its 40 documents, whose last versions would go on answering (48%; allowed "
        '20%: "r0", "r1", "r10" and 16 more); mend the source, or, if that is right, run `tidemark refresh '
        "--accept-stale`"
    )
    assert stale(config) == []  # nobody has agreed yet
    assert night(config).outcome == "needs-approval"  # and so the next night asks again

    agreed = night(config, accept_stale=True)
    assert every(agreed) == ("unchanged", {"unchanged": 40}, 19)
    assert agreed.message.endswith(
        "; 19 documents are stale: their last versions stay until the source is mended (`tidemark quarantine list`)"
    )
    assert len(documents(config)) == 40
    assert found(config, "The row3 of row 1", 1)[0].document == "r3"
    assert stale(config) == sorted(f"r{n}" for n in range(19))
    assert every(night(config)) == ("unchanged", {"unchanged": 40}, 19)  # what was stale before is not asked for again

    mended = night(table(tmp_path))
    assert (every(mended), held(config)) == (("unchanged", {"unchanged": 40}, 0), [])


def test_a_date_that_changes_its_format_costs_the_date_and_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    night(table(tmp_path))
    config = table(tmp_path, **{f"r{n}": {"t": "05.01.2024"} for n in range(19)}, r20={"body": "New.", "t": "soon"})
    forecast, result = plan(config), night(config)
    assert every(result) == ("published", {"changed": 1, "unchanged": 39}, 0)
    told = "; 20 documents read tonight have times that cannot be read, and none therefore"
    assert told in result.message
    assert told in forecast.message
    assert "source 'rows': rows.jsonl line 1: column 't' is no time: '05.01.2024'; write ISO 8601" in caplog.text
    assert result.counts["flagged"] == 1  # of the one that is judged
    there = documents(config)
    assert there["rows/r20"]["timestamp"] is None
    assert there["rows/r0"]["timestamp"].year == 2024  # nothing else of it changed: the time that was read last stays


def test_what_is_published_beside_stale_documents_names_them(tmp_path: Path) -> None:
    night(table(tmp_path))
    config = table(tmp_path, r0={"body": 12}, r1={"body": "Another text."})
    result = night(config)
    assert every(result) == ("published", {"changed": 1, "unchanged": 39}, 1)
    assert "release 2 is published; 1 document is stale: its last version stays" in result.message
    assert documents(config)["rows/r0"]["text"] == prose("row0")


def test_a_table_of_which_every_row_breaks_loses_nothing(tmp_path: Path) -> None:
    night(table(tmp_path))
    config = table(tmp_path, **{f"r{n}": {"body": 12} for n in range(40)})
    for accepted in (False, True):
        assert night(config, accept_stale=accepted, accept_deletions=accepted).outcome == "refused"
    assert len(documents(config)) == 40


@pytest.mark.parametrize("fault", [{"body": None}, {"body": 12}, {"body": ""}, {"body": "\x01"}, {"body": [["deep"]]}])
def test_a_row_that_keeps_its_id_and_breaks_keeps_its_document(tmp_path: Path, fault: dict[str, Any]) -> None:
    night(table(tmp_path))
    config = table(tmp_path, r5=fault)
    assert every(night(config)) == ("unchanged", {"unchanged": 40}, 1)
    assert stale(config) == ["r5"]
    assert documents(config)["rows/r5"]["text"] == prose("row5")
    table(tmp_path, r5={"body": "Mended."})
    assert (every(night(config)), stale(config)) == (("published", {"changed": 1, "unchanged": 39}, 0), [])


def feed(notes: Path) -> None:
    (notes / "b.md").write_text(prose("buoy") + "\n\x07\n")


def empty(notes: Path) -> None:
    (notes / "b.md").write_text("")


def undecodable(notes: Path) -> None:
    (notes / "b.md").write_bytes(prose("buoy").encode() + b"\xff")


def dangling(notes: Path) -> None:
    (notes / "b.md").unlink()
    (notes / "b.md").symlink_to(notes / "nowhere.md")


def huge(notes: Path) -> None:
    (notes / "b.md").write_text(prose("buoy") * 100)


@pytest.mark.parametrize("spoil", [feed, empty, undecodable, dangling, huge])
def test_a_file_that_breaks_keeps_its_last_version_until_it_is_mended_or_deleted(
    tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    files = {"a.md": prose("anchor"), "b.md": prose("buoy"), "c.md": prose("chart")}
    source = {"name": "notes", "kind": "folder", "path": "notes", "max_bytes": 10_000}
    config = configure(tmp_path, files, sources=[source])
    night(config)
    spoil(tmp_path / "notes")
    assert every(night(config)) == ("unchanged", {"unchanged": 3}, 1)
    [first] = Quarantine(Store(config.store.uri)).all()
    assert (first["document"], first["defect"]) == ("b.md", True)
    assert every(night(config)) == ("unchanged", {"unchanged": 3}, 1)
    [again] = Quarantine(Store(config.store.uri)).all()
    assert again["stale_since"] == first["stale_since"] is not None  # the first night, kept across nights
    assert {row["document"] for row in rows(config)} == {"a.md", "b.md", "c.md"}
    (tmp_path / "notes" / "b.md").unlink()
    assert every(night(config)) == ("published", {"unchanged": 2, "deleted": 1}, 0)
    assert held(config) == []


def test_control_characters_in_half_a_folder_stop_the_night(tmp_path: Path) -> None:
    files: dict[str, str | bytes | None] = {f"n{n}.md": prose(f"word{n}") for n in range(40)}
    config = configure(tmp_path, files, limits={})
    night(config)
    save(tmp_path / "notes", {f"n{n}.md": prose(f"word{n}") + "\x07" for n in range(19)})
    assert (night(config).outcome, len(documents(config))) == ("needs-approval", 40)
    assert every(night(config, accept_stale=True)) == ("unchanged", {"unchanged": 40}, 19)


def test_a_broken_document_that_a_rollback_brings_back_goes_stale_and_stays(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor"), "b.md": prose("buoy")})
    night(config)
    save(tmp_path / "notes", {"a.md": None})
    night(config)
    save(tmp_path / "notes", {"a.md": ""})
    assert every(night(config)) == ("unchanged", {"unchanged": 1, "quarantined": 1}, 0)
    rollback(config)
    assert every(night(config)) == ("unchanged", {"unchanged": 2}, 1)
    assert stale(config) == ["a.md"]
    rollback(config, 2)
    assert every(night(config)) == ("unchanged", {"unchanged": 1, "quarantined": 1}, 0)
    assert stale(config) == []


def test_what_is_broken_and_moved_leaves_its_old_place(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor"), "b.md": prose("buoy")})
    night(config)
    save(tmp_path / "notes", {"a.md": ""})
    night(config)
    (tmp_path / "notes" / "a.md").rename(tmp_path / "notes" / "c.md")
    assert every(night(config)) == ("published", {"unchanged": 1, "quarantined": 1, "deleted": 1}, 0)


def test_a_stale_document_is_no_partner_of_one_that_moved(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor"), "b.md": prose("buoy")})
    night(config)
    save(tmp_path / "notes", {"a.md": "", "c.md": prose("anchor")})
    assert every(night(config)) == ("published", {"unchanged": 2, "duplicates": 1}, 1)
    assert documents(config)["notes/c.md"]["duplicate_of"] == documents(config)["notes/a.md"]["key"]


def test_a_rebuild_takes_no_stale_version_over(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor"), "b.md": prose("buoy")})
    night(config)
    save(tmp_path / "notes", {"a.md": ""})
    night(config)
    assert every(refresh(config, rebuild=True)) == ("published", {"added": 1, "quarantined": 1}, 0)
    assert (held(config), stale(config)) == ([("a.md", "content-present", 1)], [])


@pytest.mark.parametrize("of", ["a file", "a folder"])
def test_what_links_once_let_in_leaves_when_they_are_not_followed_any_more(tmp_path: Path, of: str) -> None:
    save(tmp_path, {"outside/secret.md": prose("secret")})
    config = configure(tmp_path, {"a.md": prose("anchor")}, sources=[NOTES | {"follow_links": True}])
    link = tmp_path / "notes" / ("link.md" if of == "a file" else "link")
    link.symlink_to("../outside/secret.md" if of == "a file" else "../outside")
    assert counted(night(config)) == {"added": 2}
    closed = configure(tmp_path)
    result = night(closed)
    assert (result.outcome, result.counts["stale"]) == ("published", 0)
    assert list(documents(closed)) == ["notes/a.md"]
    assert held(closed) == [(link.name, "readable", 1)]
    assert night(closed).outcome == "unchanged"
    strict = configure(tmp_path, limits={"max_lost_share": 0.2})
    assert night(configure(tmp_path, sources=[NOTES | {"follow_links": True}])).outcome == "published"
    assert night(strict).outcome == "needs-approval"  # whoever follows them no more is asked, as of every loss
