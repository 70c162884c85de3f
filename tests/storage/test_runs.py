"""The record of runs."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from storage.errors import InputError
from storage.runs import Runs, new_run
from storage.store import Store


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(Store(tmp_path / "store"))


def test_ids_sort_by_time_and_differ() -> None:
    early, late = datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
    assert new_run(early).startswith("20260131-235959-")
    assert new_run(early) < new_run(late)
    assert new_run(early) != new_run(early)


def test_a_run_is_recorded_from_its_start(runs: Runs) -> None:
    runs.start("r1", "refresh", trigger="cron", token=3, config={"store": {"uri": "x"}})
    row = runs.get("r1")
    known = {name: row[name] for name in ("run", "kind", "outcome", "trigger", "token", "config", "finished", "counts")}
    assert known == {
        "run": "r1",
        "kind": "refresh",
        "outcome": "running",
        "trigger": "cron",
        "token": 3,
        "config": {"store": {"uri": "x"}},
        "finished": None,
        "counts": None,
    }


def test_its_end_keeps_what_was_known_and_adds_the_rest(runs: Runs) -> None:
    runs.start("r1", "refresh", trigger="cron", code={"commit": "abc"})
    runs.finish("r1", "published", release=4, message="done", counts={"documents": 2}, seconds={"total": 0.5})
    row = runs.get("r1")
    assert (row["outcome"], row["trigger"], row["release"], row["message"]) == ("published", "cron", 4, "done")
    assert (row["code"], row["counts"], row["seconds"]) == ({"commit": "abc"}, {"documents": 2}, {"total": 0.5})
    assert row["started"] <= row["finished"]


def test_a_fact_that_no_column_takes_is_refused(runs: Runs) -> None:
    with pytest.raises(ValueError, match="no field 'colour'"):
        runs.start("r1", "refresh", colour="blue")


def test_runs_come_newest_first(runs: Runs) -> None:
    assert runs.all() == []
    for name in ("r1", "r2", "r3"):
        runs.start(name, "refresh")
    assert [row["run"] for row in runs.all()] == ["r3", "r2", "r1"]


def test_refreshes_that_never_ended_are_marked(runs: Runs) -> None:
    assert runs.interrupt() == []
    runs.start("killed", "refresh")
    runs.start("audit", "audit")
    runs.start("done", "refresh")
    runs.finish("done", "unchanged")
    assert runs.interrupt() == ["killed"]
    assert {row["run"]: row["outcome"] for row in runs.all()} == {
        "killed": "interrupted",
        "audit": "running",
        "done": "unchanged",
    }
    assert "killed, or the machine went down" in runs.get("killed")["message"]
    assert runs.interrupt() == []


def test_an_unknown_run_is_named(runs: Runs) -> None:
    with pytest.raises(InputError, match="no run 'r9'; `tidemark runs` lists them"):
        runs.get("r9")
    runs.start("r1", "refresh")
    with pytest.raises(InputError, match="no run 'r9'"):
        runs.get("r9")
