"""What sources leave out is told, and a first release of nothing is asked about."""

from __future__ import annotations

from pathlib import Path

from corpus import NOTES, configure, counted, night, prose

from flows.plan import plan
from storage.tables.runs import Runs
from storage.tables.store import Store

PASSED = {"hidden": 1, "no known suffix": 1, "unknown suffix .docx": 1, "unknown suffix .pdf": 2}
FILES = {"r.pdf": "x", "s.pdf": "x", "t.docx": "x", "noext": "x", ".hidden.md": "x"}


def test_a_first_release_of_nothing_waits_and_says_what_was_passed_over(tmp_path: Path) -> None:
    config = configure(tmp_path, FILES)
    said = (
        "the first release would hold no document: source 'notes' lists nothing and passes over "
        "3 unknown suffix (.pdf 2, .docx 1), 1 hidden, 1 no known suffix"
    )
    forecast, waits = plan(config), night(config)
    for found in (forecast, waits):
        assert (found.outcome, found.passed_over) == ("needs-approval", {"notes": PASSED})
        assert found.message.startswith(said)
        assert "`tidemark refresh --accept-empty`" in found.message
    assert (waits.release, waits.counts["passed_over"]) == (None, 5)
    agreed = night(config, accept_empty=True)
    assert (agreed.outcome, agreed.release, counted(agreed)) == ("published", 1, {})
    assert night(config).outcome == "unchanged"


def test_a_first_release_of_refused_documents_alone_waits_too(tmp_path: Path) -> None:
    waits = night(configure(tmp_path, {"a.md": "a\x00b", "b.md": ""}))
    assert waits.outcome == "needs-approval"
    assert "source 'notes' lists 2, none of them accepted," in waits.message


def test_a_run_tells_and_records_what_each_source_left_out(tmp_path: Path) -> None:
    other = NOTES | {"name": "other", "path": "other"}
    config = configure(
        tmp_path, FILES | {"a.md": prose("anchor"), "../other/b.md": prose("buoy")}, sources=[NOTES, other]
    )
    forecast, result = plan(config), night(config)
    assert (result.outcome, result.counts["documents"], result.counts["passed_over"]) == ("published", 2, 5)
    assert forecast.passed_over == result.passed_over == {"notes": PASSED}
    [run] = Runs(Store(config.store.uri)).all()
    assert run["data"]["sources"]["notes"]["passed_over"] == PASSED
    assert "passed_over" not in run["data"]["sources"]["other"]
