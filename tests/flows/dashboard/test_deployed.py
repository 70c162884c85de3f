"""The Prefect flows: made of the table of flows, each ending in the state of its outcome."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from prefect import State, flow
from prefect.flows import Flow, load_flow_from_entrypoint
from prefect.server.schemas.schedules import CronSchedule

from flows.dashboard.deployed import STATES, call, concluded
from models.errors import ModelError
from storage.errors import InputError, LeaseHeld, NothingBefore
from storage.outcome import Outcome
from tasks.release.checks import AuditResult, Check

DEPLOYMENTS = Path(__file__).parents[3] / "deployments" / "prefect.yaml"


@dataclass(frozen=True)
class Done:
    outcome: Outcome
    message: str = "that is why"
    run: str = "r1"
    counts: dict[str, int] = field(default_factory=lambda: {"added": 2})
    seconds: dict[str, float] = field(default_factory=lambda: {"scan": 0.25})


def schema(entrypoint: str) -> dict[str, Any]:
    """What the dashboard asks whoever starts a flow for."""
    loaded: Flow[..., Any] = load_flow_from_entrypoint(entrypoint)
    properties: dict[str, Any] = loaded.parameters.model_dump()["properties"]
    return properties


def test_every_deployment_names_a_flow_of_the_table_by_module() -> None:
    for row in yaml.safe_load(DEPLOYMENTS.read_text())["deployments"]:
        loaded: Flow[..., Any] = load_flow_from_entrypoint(row["entrypoint"])
        assert row["entrypoint"] == f"flows.dashboard.deployed.{loaded.name}"
        assert set(row.get("parameters", {})) <= set(loaded.parameters.properties)


def test_every_deployment_has_tags_and_tells_what_it_does() -> None:
    rows = yaml.safe_load(DEPLOYMENTS.read_text())["deployments"]
    assert [row for row in rows if not row["description"].endswith(".")] == []
    assert [row["name"] for row in rows if row["schedules"]] == ["refresh-nightly", "audit-weekly", "maintain-weekly"]
    # The dashboard shows the name in bold and the flow in small: the name alone has to say what it starts.
    assert [row for row in rows if row["entrypoint"].rpartition(".")[2] not in row["name"]] == []
    assert [len(set(row["tags"]) & {"publishes", "looks", "frees"}) for row in rows] == len(rows) * [1]
    assert [("scheduled" in row["tags"]) != ("by-hand" in row["tags"]) for row in rows] == len(rows) * [True]


def test_the_dashboard_asks_for_the_parameters_of_the_plain_function() -> None:
    asked = schema("flows.dashboard.deployed.refresh")
    assert list(asked) == [
        "config",
        "accept_deletions",
        "accept_stale",
        "accept_encoder",
        "accept_empty",
        "rebuild",
        "plan",
    ]
    assert (asked["config"]["type"], asked["config"]["default"]) == ("string", "")
    assert (asked["rebuild"]["type"], asked["rebuild"]["default"]) == ("boolean", False)
    assert asked["rebuild"]["description"].startswith(
        "Take nothing over from earlier releases: embed everything again."
    )
    release = schema("flows.dashboard.deployed.audit")["release"]
    assert (release["anyOf"], release["default"]) == ([{"type": "integer"}, {"type": "null"}], None)


def test_what_is_no_flow_is_not_there() -> None:
    import flows.dashboard.deployed as module

    assert not hasattr(module, "unknown")


@pytest.mark.usefixtures("prefect")
@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (Outcome.PUBLISHED, ("COMPLETED", "Completed")),
        (Outcome.UNCHANGED, ("COMPLETED", "Completed")),
        (Outcome.REFUSED, ("FAILED", "Refused")),
        (Outcome.NEEDS_APPROVAL, ("FAILED", "NeedsApproval")),
        (Outcome.FAILED, ("FAILED", "Failed")),
        (Outcome.HELD, ("CANCELLED", "Held")),  # grey: that is what somebody wants
    ],
)
def test_a_flow_run_ends_in_the_state_of_its_outcome_and_says_why(outcome: Outcome, state: tuple[str, str]) -> None:
    result = Done(outcome)

    @flow
    def night() -> State[Any]:
        return concluded("refresh", lambda: result)

    ended = night(return_state=True)
    assert (ended.type.value, ended.name, ended.message) == (*state, "that is why")
    assert call(night) is result


@pytest.mark.usefixtures("prefect")
@pytest.mark.parametrize(("ok", "state"), [(True, ("COMPLETED", "Completed")), (False, ("FAILED", "AuditFailed"))])
def test_an_audit_ends_in_a_state_of_its_own(ok: bool, state: tuple[str, str]) -> None:
    result = AuditResult((Check("ids", ok=ok, detail="3 twice"),))

    @flow
    def weekly() -> State[Any]:
        return concluded("audit", lambda: result)

    ended = weekly(return_state=True)
    assert (ended.type.value, ended.name) == state
    assert ended.message == ("1 checks hold" if ok else "ids: 3 twice")


@pytest.mark.usefixtures("prefect")
@pytest.mark.parametrize(
    ("error", "state"),
    [
        (InputError("there is no release 9"), ("FAILED", "InputError")),
        (ModelError("a stub has nothing to learn"), ("FAILED", "ModelError")),
        # Grey, not red: another run is at work, and nobody has to act.
        (LeaseHeld("run r0 holds the store since 02:00"), ("CANCELLED", "LeaseHeld")),
        (NothingBefore("there is no release before 1"), ("CANCELLED", "NothingBefore")),
    ],
)
def test_an_error_on_purpose_is_a_named_state_and_reaches_the_caller_unchanged(
    error: Exception, state: tuple[str, str]
) -> None:
    def refuse() -> Done:
        raise error

    @flow
    def night() -> State[Any]:
        return concluded("refresh", refuse)

    ended = night(return_state=True)
    assert (ended.type.value, ended.name, ended.message) == (*state, str(error))
    with pytest.raises(type(error)) as raised:
        call(night)
    assert raised.value is error


@pytest.mark.usefixtures("prefect")
def test_what_the_store_records_has_not_the_name_that_an_automation_tells() -> None:
    error = InputError("notes: there is no such folder")
    error.recorded = True

    def fail() -> Done:
        raise error

    @flow
    def night() -> State[Any]:
        return concluded("refresh", fail)

    ended = night(return_state=True)
    assert (ended.type.value, ended.name, ended.message) == ("FAILED", "Failed", str(error))


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
@pytest.mark.parametrize("minute", ["0 1", "0 2", "30 2", "0 3"])
def test_clocks_that_change_neither_skip_nor_double_a_night(zone: str, minute: str) -> None:
    """The server's own arithmetic, over both changes of a year, at hours that such a day has twice or not at all."""
    schedule = CronSchedule(cron=f"{minute} * * *", timezone=zone)
    dates = asyncio.run(schedule.get_dates(300, start=datetime(2026, 2, 1, 12, tzinfo=UTC)))
    nights = [date.astimezone(ZoneInfo(zone)).date() for date in dates]
    assert [(after - before).days for before, after in pairwise(nights)] == 299 * [1]


def test_every_outcome_that_a_flow_returns_has_a_state() -> None:
    assert set(Outcome) - set(STATES) == {Outcome.RUNNING, Outcome.INTERRUPTED}
