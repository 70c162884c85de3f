"""The frame of every run: what it records, whatever ends the run."""

from __future__ import annotations

import json
import resource
from datetime import UTC, datetime
from pathlib import Path

import pytest
from corpus import configure, prose, save

from flows.audit import audit
from flows.clock import Clock
from flows.config.schema import Config
from flows.refresh import refresh
from flows.run import recorded
from storage.errors import Exited, InputError, LeaseHeld
from storage.outcome import Outcome
from storage.tables.lease import Lease, holder
from storage.tables.runs import Runs
from storage.tables.store import Store
from tasks.progress import Silent
from tasks.verdict import STOPS, NeedsApproval, Refused


class Signal(BaseException):
    """What stops a process from outside, such as Prefect's TerminationSignal."""


class Stop(Silent):
    """Raises something as a stage begins."""

    def __init__(self, stage: str, error: BaseException) -> None:
        self.name, self.error = stage, error

    def stage(self, name: str) -> None:
        if name == self.name:
            raise self.error


@pytest.fixture
def empty(tmp_path: Path) -> Config:
    return configure(tmp_path)


def rows(config: Config) -> list[dict[str, object]]:
    return Runs(Store(config.store.uri)).all()


def test_a_clock_times_stages_also_those_that_fail() -> None:
    clock = Clock(Silent())
    with clock.stage("scan"):
        pass
    with pytest.raises(KeyError), clock.stage("plan"):
        raise KeyError
    total = clock.total()
    assert list(total) == ["scan", "plan", "total"]
    assert all(seconds >= 0 for seconds in total.values())


@pytest.mark.parametrize("lease", [True, False])
def test_a_run_is_recorded_with_all_that_is_known_of_it(empty: Config, lease: bool) -> None:
    store = Store(empty.store.uri)
    with recorded(store, "erase", config=empty, trigger="cron", lease=lease) as run:
        assert holder(store) == (run.id if lease else None)
        assert [row["outcome"] for row in Runs(store).all()] == (["running"] if lease else [])
        run.base, run.counts, run.facts["data"] = 3, {"documents": 2}, {"tables": {"documents": 7}}
        with run.clock.stage("scan"):
            pass
        run.conclude(Outcome.PUBLISHED, "release 4 is published", 4)
    assert holder(store) is None
    [row] = rows(empty)
    assert {name: row[name] for name in ("run", "kind", "trigger", "outcome", "base", "release", "message")} == {
        "run": run.id,
        "kind": "erase",
        "trigger": "cron",
        "outcome": "published",
        "base": 3,
        "release": 4,
        "message": "release 4 is published",
    }
    assert (row["counts"], row["data"]) == ({"documents": 2}, {"tables": {"documents": 7}})
    assert list(json.loads(json.dumps(row["seconds"]))) == ["scan", "total"]
    assert row["config"] == json.loads(empty.to_json())
    assert row["libraries"] and row["code"]
    assert (row["token"] is not None) == lease


@pytest.mark.parametrize("error", [NeedsApproval("too much is gone"), Refused("a limit was passed")])
def test_a_verdict_ends_a_run_as_an_outcome(empty: Config, error: Exception) -> None:
    with recorded(Store(empty.store.uri), "refresh", config=empty, lease=True) as run:
        run.base = 2
        raise error
    assert (run.outcome, run.message, run.release) == (STOPS[type(error)], str(error), 2)
    assert [(row["outcome"], row["message"], row["release"]) for row in rows(empty)] == [(run.outcome, str(error), 2)]


@pytest.mark.parametrize("lease", [True, False])
@pytest.mark.parametrize(
    ("error", "raised", "outcome", "message"),
    [
        (OSError("no space"), OSError, "failed", "OSError: no space"),
        (LeaseHeld("taken over"), LeaseHeld, "failed", "LeaseHeld: taken over"),
        (KeyboardInterrupt(), KeyboardInterrupt, "interrupted", "stopped from outside (KeyboardInterrupt)"),
        (Signal(), Signal, "interrupted", "stopped from outside (Signal)"),
        (SystemExit(0), Exited, "failed", "Exited: code that the refresh called asked to leave with sys.exit(0)"),
    ],
)
def test_what_ends_a_run_is_recorded_and_raised_again(
    empty: Config, lease: bool, error: BaseException, raised: type[BaseException], outcome: str, message: str
) -> None:
    store = Store(empty.store.uri)
    with pytest.raises(raised), recorded(store, "refresh", config=empty, lease=lease):
        raise error
    [row] = rows(empty)
    assert (row["outcome"], row["release"], holder(store)) == (outcome, None, None)
    assert str(row["message"]).startswith(message)


def test_what_was_published_before_the_failure_is_told(empty: Config) -> None:
    with pytest.raises(OSError, match="gone"), recorded(Store(empty.store.uri), "x", config=empty, lease=True) as run:
        run.conclude(Outcome.PUBLISHED, "release 4 is published", 4)
        raise OSError("gone")
    [row] = rows(empty)
    assert (row["outcome"], row["release"]) == ("failed", 4)
    assert row["message"] == "release 4 is published; after that: OSError: gone"


def test_a_flow_that_forgets_to_conclude_is_a_bug(empty: Config) -> None:
    store = Store(empty.store.uri)
    with pytest.raises(RuntimeError, match="without an outcome"), recorded(store, "x", config=empty, lease=True):
        pass
    assert [row["outcome"] for row in rows(empty)] == ["failed"]


def test_wrong_input_of_a_run_without_the_lease_is_told_and_not_recorded(empty: Config) -> None:
    with pytest.raises(InputError), recorded(Store(empty.store.uri), "audit", config=empty, lease=False):
        raise InputError("there is no release 9")
    assert not Path(empty.store.uri).exists()


def test_a_run_that_meets_the_lease_leaves_no_record(empty: Config) -> None:
    store = Store(empty.store.uri)
    frame = recorded(store, "refresh", config=empty, lease=True)
    with Lease(store, "other"), pytest.raises(LeaseHeld, match="other"), frame:
        raise AssertionError("it must not begin")
    assert Runs(store).all() == []


def test_a_run_clears_up_after_those_that_were_killed(empty: Config, tmp_path: Path) -> None:
    store = Store(empty.store.uri)
    Runs(store).start("20200101-000000-aaaaaa", "erase")
    save(tmp_path / "store" / ".work" / "20200101-000000-aaaaaa", {"spill": "left"})
    save(tmp_path / "store" / "models" / ".00112233-aabbccdd", {"model.safetensors": "half"})
    began = datetime.now(UTC)
    with recorded(store, "refresh", config=empty, lease=True) as run:
        assert not list((tmp_path / "store" / ".work").glob("*"))
        assert not list((tmp_path / "store" / "models").glob("*"))
        run.conclude(Outcome.UNCHANGED, "nothing changed")
    assert [row["outcome"] for row in rows(empty)] == ["unchanged", "interrupted"]
    assert began <= run.started <= datetime.now(UTC)


@pytest.mark.parametrize("stage", ["scan", "embed"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), Signal()])
def test_a_refresh_that_is_stopped_from_outside_is_interrupted(
    tmp_path: Path, stage: str, error: BaseException
) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor")})
    with pytest.raises(type(error)):
        refresh(config, console=Stop(stage, error))
    assert [row["outcome"] for row in rows(config)] == ["interrupted"]
    assert refresh(config).outcome is Outcome.PUBLISHED


def test_an_audit_that_breaks_off_is_recorded_once(config: Config) -> None:
    with pytest.raises(KeyError):
        audit(config, trigger="schedule", console=Stop("audit", KeyError("odd")))
    row = rows(config)[0]
    assert (row["kind"], row["outcome"], row["trigger"], row["base"]) == ("audit", "failed", "schedule", 2)


def test_a_run_that_could_start_no_thread_is_refused_before_it_takes_the_lease(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (2**30, resource.RLIM_INFINITY))
    with pytest.raises(InputError, match="address space of this process is limited to 1,024 MiB, and a run needs"):
        refresh(config)
    assert holder(Store(config.store.uri)) is None
    assert audit(config).ok  # whoever only reads needs less
