"""The loop: an alarm proposes a retraining within its budget, and never while somebody holds the store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from corpus import configure, prose

from flows.config.schema import Config
from flows.hold import hold, unhold
from flows.loop import barred, propose
from flows.refresh import refresh
from flows.retrain import retrain
from models.errors import ModelError
from storage.errors import LeaseHeld
from storage.outcome import Outcome
from storage.tables.drift import Drift
from storage.tables.releases import Releases
from storage.tables.runs import Runs, new_run
from storage.tables.store import Store

NOW = datetime(2026, 3, 1, 2, tzinfo=UTC)


class Asked:
    """Stands where a flow is started: it keeps what it was asked, and ends as it is told."""

    def __init__(self, error: Exception | None = None) -> None:
        self.options: list[dict[str, Any]] = []
        self._error = error

    def __call__(self, config: Config, **options: Any) -> Any:
        self.options.append(options)
        if self._error is not None:
            raise self._error
        return refresh(config)


def alarming(config: Config, run: str, *, alarm: bool = True) -> None:
    """A figure of a run that alarms, or not."""
    row = {"run": run, "maker": run, "family": "embeddings", "name": "mean_difference", "value": 9.0, "limit": 3.0}
    Drift(Store(config.store.uri)).add([row | {"alarm": alarm, "created": NOW}])


def retrained(config: Config, started: datetime, trigger: str, outcome: Outcome) -> None:
    """A retraining that is over."""
    Runs(Store(config.store.uri)).record(new_run(started), "retrain", outcome, started, trigger=trigger)


@pytest.mark.parametrize(
    ("wished", "alarm", "started"), [(True, True, True), (False, True, False), (True, False, False)]
)
def test_an_alarm_starts_a_retraining_where_that_is_wished(
    tmp_path: Path, wished: bool, alarm: bool, started: bool
) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor")}, drift={"retrain": wished})
    run, asked = refresh(config).run, Asked()
    alarming(config, "another run")
    assert not propose(config, run, 1, asked)
    alarming(config, run, alarm=alarm)
    assert propose(config, run, 1, asked) is started
    assert asked.options == ([{"proposed": True}] if started else [])


@pytest.mark.parametrize("error", [LeaseHeld("another one is at work"), ModelError("a stub"), OSError("the disk")])
def test_a_retraining_that_fails_costs_the_night_nothing(tmp_path: Path, error: Exception) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor")}, drift={"retrain": True})
    run = refresh(config).run
    alarming(config, run)
    assert propose(config, run, 1, Asked(error))


def test_alarms_start_one_retraining_in_so_many_days_and_people_any_number(tmp_path: Path) -> None:
    config = configure(tmp_path, drift={"retrain_days": 7})
    store = Store(config.store.uri)
    assert barred(store, config, NOW) is None
    for trigger, outcome in [
        ("manual", Outcome.PUBLISHED),
        ("drift", Outcome.UNCHANGED),
        ("drift", Outcome.LEASE_HELD),
        ("drift", Outcome.INTERRUPTED),
    ]:
        retrained(config, NOW, trigger, outcome)
    assert barred(store, config, NOW) is None
    retrained(config, NOW, "drift", Outcome.REFUSED)
    told = "drift started one at 2026-03-01 02:00 UTC, and may again from 2026-03-08 02:00 UTC"
    assert told in str(barred(store, config, NOW + timedelta(days=6)))
    assert barred(store, config, NOW + timedelta(days=7)) is None


def test_nothing_is_proposed_while_somebody_holds_the_store(tmp_path: Path) -> None:
    config = configure(tmp_path)
    store = Store(config.store.uri)
    hold(store, "we look into it")
    assert "the store is held since" in str(barred(store, config, NOW))
    unhold(store)
    assert barred(store, config, NOW) is None


def test_a_proposed_retraining_that_has_to_wait_says_so_and_trains_nothing(tiny_model: Path, tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor")}, encoder={"name": str(tiny_model), "threads": 1})
    refresh(config)
    store = Store(config.store.uri)
    hold(store, "we look into it")
    found = retrain(config, proposed=True)
    assert (found.outcome, found.release, found.challengers) == ("unchanged", 1, ())
    assert found.message.startswith("an alarm proposed a retraining, and the store is held since")
    row = Runs(store).get(found.run)
    assert (row["trigger"], row["outcome"]) == ("drift", "unchanged")
    assert Releases(store).newest() == 1
