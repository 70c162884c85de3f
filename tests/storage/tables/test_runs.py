"""The record of runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from storage.errors import InputError
from storage.outcome import Outcome
from storage.tables.columns import key_field
from storage.tables.lease import Lease, holder
from storage.tables.releases import Draft, Releases
from storage.tables.roles import TEXT, EncoderRecord, Role
from storage.tables.runs import Runs, new_run
from storage.tables.store import Store


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(Store(tmp_path / "store"))


def test_ids_sort_by_time_and_differ() -> None:
    early, late = datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
    assert new_run(early).startswith("20260131-235959-")
    assert new_run(early) < new_run(late)
    assert new_run(early) != new_run(early)


def test_a_run_is_recorded_from_its_start(runs: Runs) -> None:
    with Lease(runs.store, "r1"):
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
    runs.finish("r1", Outcome.PUBLISHED, release=4, message="done", counts={"documents": 2}, seconds={"total": 0.5})
    row = runs.get("r1")
    assert (row["outcome"], row["trigger"], row["release"], row["message"]) == ("published", "cron", 4, "done")
    assert (row["code"], row["counts"], row["seconds"]) == ({"commit": "abc"}, {"documents": 2}, {"total": 0.5})
    assert row["started"] <= row["finished"]


def test_another_look_at_the_table_ends_a_run_with_what_its_start_recorded(runs: Runs) -> None:
    runs.start("r1", "refresh", trigger="cron", code={"commit": "abc"})
    Runs(runs.store).finish("r1", Outcome.REFUSED, message="no")
    [row] = runs.all()
    assert (row["outcome"], row["trigger"], row["code"], row["message"]) == ("refused", "cron", {"commit": "abc"}, "no")
    runs.finish("r1", Outcome.UNCHANGED)
    assert [(row["outcome"], row["trigger"]) for row in runs.all()] == [("unchanged", "cron")]


def test_a_fact_that_no_column_takes_is_refused(runs: Runs) -> None:
    with pytest.raises(TypeError, match="no field 'colour'"):
        runs.start("r1", "refresh", colour="blue")


def test_runs_come_newest_first(runs: Runs) -> None:
    assert runs.all() == []
    for name in ("r1", "r2", "r3"):
        runs.start(name, "refresh")
    assert [row["run"] for row in runs.all()] == ["r3", "r2", "r1"]


def test_runs_that_never_ended_are_marked_whatever_their_kind(runs: Runs) -> None:
    assert runs.interrupt() == []
    runs.start("killed", "refresh")
    runs.start("other", "erase")
    runs.start("done", "refresh")
    runs.finish("done", Outcome.UNCHANGED)
    assert sorted(runs.interrupt()) == ["killed", "other"]
    assert {row["run"]: row["outcome"] for row in runs.all()} == {
        "killed": "interrupted",
        "other": "interrupted",
        "done": "unchanged",
    }
    assert "killed, or the machine went down" in runs.get("killed")["message"]
    assert runs.interrupt() == []


def test_a_run_whose_process_is_gone_is_told_as_interrupted(runs: Runs) -> None:
    with Lease(runs.store, "r1"):
        runs.start("r1", "refresh", token=1)
        assert (runs.get("r1")["outcome"], runs.get("r1")["finished"]) == ("running", None)
    row = runs.all()[0]
    assert (row["outcome"], row["release"]) == ("interrupted", None)
    assert row["started"] <= row["finished"]
    assert runs._rows()["r1"]["outcome"] == "running"  # told, not written: only the next run may
    with Lease(runs.store, "r2"):
        assert runs.interrupt() == ["r1"]
    assert runs.get("r1") == row


def test_a_run_that_ends_while_it_is_looked_at_is_not_told_as_interrupted(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = Lease(runs.store, "r1")

    def late(store: Store) -> str | None:
        runs.finish("r1", Outcome.UNCHANGED)
        lease.__exit__(None, None, None)
        return holder(store)

    with lease:
        runs.start("r1", "refresh")
        monkeypatch.setattr("storage.tables.runs.holder", late)
        assert runs.interrupt() == []
    assert runs.get("r1")["outcome"] == "unchanged"


def test_the_newest_are_found_among_many_and_little_is_read_of_each(runs: Runs) -> None:
    for number in range(5):
        runs.start(f"r{number}", "refresh", config={"number": number})
        runs.finish(f"r{number}", "published" if number % 2 else "unchanged", counts={"tokens": number})
    assert [row["run"] for row in runs.all(2)] == ["r4", "r3"]
    assert runs.all(1, columns=("counts", "outcome")) == [{"counts": {"tokens": 4}, "outcome": "unchanged"}]
    assert [row["run"] for row in runs.all(outcomes={"published"})] == ["r3", "r1"]
    assert runs.all(1, columns=("run",), outcomes={"published"}) == [{"run": "r3"}]
    assert runs.all(outcomes={"failed"}) == []


def test_one_that_broke_off_is_told_so_however_it_is_asked_for(runs: Runs) -> None:
    runs.start("r1", "refresh")
    assert runs.all(columns=("outcome",)) == [{"outcome": "interrupted"}]
    found = runs.find("r1")
    assert found is not None
    assert found["outcome"] == "interrupted"


def test_a_run_is_found_by_the_beginning_of_its_id(runs: Runs) -> None:
    for name in ("20260101-aaa", "20260101-abb", "20260102-a"):
        runs.start(name, "audit")
    assert runs.get("20260102")["run"] == "20260102-a"
    assert runs.get("20260101-ab")["run"] == "20260101-abb"
    with pytest.raises(InputError, match="several runs begin with '20260101': 20260101-abb, 20260101-aaa; give more"):
        runs.get("20260101")
    for unknown in ("2027", "' OR '1'='1", ""):
        with pytest.raises(InputError, match="there is no run"):
            runs.get(unknown)
    assert runs.find("2026") is None


def test_an_unknown_run_is_named(runs: Runs) -> None:
    with pytest.raises(InputError, match="no run 'r9'; `tidemark runs` lists them"):
        runs.get("r9")
    runs.start("r1", "refresh")
    with pytest.raises(InputError, match="no run 'r9'"):
        runs.get("r9")


@pytest.fixture
def silent(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> Runs:
    """A store whose second release is a rollback's that was killed before it recorded itself."""
    table = runs.store.ensure("documents", pa.schema([key_field("document", pa.string())]))
    releases = Releases(runs.store)
    role = Role("s1", EncoderRecord("s1"))
    for seq, restored in ((0, None), (1, 1)):
        run = "r2" if restored else "r1"
        draft = Draft(run=run, tables={"documents": table.version}, roles={TEXT: role}, restored=restored)
        releases.publish(seq, draft)
    runs.start("r1", "refresh", datetime(2026, 1, 31, tzinfo=UTC))
    runs.finish("r1", Outcome.PUBLISHED, release=1)
    monkeypatch.setattr("storage.tables.runs._GRACE", timedelta())
    return runs


KILLED = "release 2 is published; after that the process ended without a word (killed, or the machine went down)"


def test_a_rollback_that_was_killed_before_its_record_is_told_from_its_release(silent: Runs) -> None:
    assert [row["run"] for row in silent.all()] == ["r2", "r1"]
    for row in (silent.all(1)[0], silent.find("r2"), silent.get("r2"), silent.get("r2"[:2])):
        assert row is not None
        told = (row["kind"], row["outcome"], row["release"], row["message"], row["config"])
        assert told == ("rollback", "interrupted", 2, KILLED, None)
        assert row["started"] == row["finished"] == Releases(silent.store).get(2).created
    assert silent.all(1, columns=("outcome", "run")) == [{"outcome": "interrupted", "run": "r2"}]
    assert [row["run"] for row in silent.all(outcomes={"interrupted"})] == ["r2"]
    assert list(silent._rows()) == ["r1"]  # told, not written
    told = silent.get("r2")
    assert silent.interrupt() == ["r2"]
    assert silent._rows()["r2"]["outcome"] == "interrupted"
    assert silent.get("r2") == told
    assert silent.interrupt() == []


def test_a_rollback_that_has_just_published_is_given_time_to_record_itself(
    silent: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.tables.runs._GRACE", timedelta(minutes=1))
    assert [row["run"] for row in silent.all()] == ["r1"]
    assert silent.find("r2") is None
    assert silent.interrupt() == ["r2"]  # whoever holds the lease need not wait, for nothing is lost by it
    silent.record("r2", "rollback", Outcome.PUBLISHED, datetime.now(UTC), release=2, message="it lived")
    assert silent.interrupt() == []
    assert [(row["run"], row["message"]) for row in silent.all(1)] == [("r2", "it lived")]


def test_a_rollback_that_recorded_itself_meanwhile_is_not_told_as_dead(
    silent: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollbacks = Releases.rollbacks

    def late(releases: Releases) -> dict[str, tuple[int, datetime]]:
        found = rollbacks(releases)
        silent.record("r2", "rollback", Outcome.PUBLISHED, datetime.now(UTC), release=2, message="done")
        return found

    monkeypatch.setattr(Releases, "rollbacks", late)
    assert silent.interrupt() == []
    assert silent.get("r2")["message"] == "done"


def test_the_runs_are_read_where_the_record_of_releases_is_damaged(silent: Runs) -> None:
    for file in (Path(silent.store.uri) / "releases.lance" / "data").iterdir():
        file.write_bytes(b"")
    fresh = Runs(Store(silent.store.uri))
    assert [row["run"] for row in fresh.all()] == ["r1"]
