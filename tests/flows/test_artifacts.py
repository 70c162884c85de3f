"""What a run shows on the dashboard, without a flow run and in one (the harness starts a real server)."""

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

import pytest

from flows.artifacts import (
    OnDashboard,
    embedding_progress,
    publish_artifacts,
    publish_checks,
    stage_chart,
    write_report,
)
from tasks.stage import in_flow_run, stage

REPORT: dict[str, Any] = {
    "run": "r1",
    "release": 7,
    "outcome": "published",
    "message": "release 7: 2 added",
    "space": "9f3a",
    "counts": {"documents": 1234, "added": 2},
    "seconds": {"scan": 0.25, "embed": 9.5, "total": 10.0},
}


def test_without_a_flow_run_nothing_is_published() -> None:
    publish_artifacts(REPORT)
    publish_checks([{"name": "ids", "ok": True, "detail": "unique"}])
    embedding_progress()(1, 2)
    progress = OnDashboard()
    progress.stage("embed")
    progress.advance(1, 2, "chunks")


def test_the_report_says_what_happened_and_draws_two_charts() -> None:
    text = write_report(REPORT)
    assert text.startswith("# Published\n\nrelease 7: 2 added\n")
    assert "| release | `7` |" in text
    assert "| seconds | 10.0 |" in text
    charts = re.findall(r"!\[[^]]+\]\(data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)\)", text)
    titles = ["".join(ElementTree.fromstring(base64.b64decode(chart)).itertext()) for chart in charts]
    assert "total" not in titles[0]
    assert ["embed" in titles[0], "9.50 s" in titles[0], "1,234" in titles[1]] == [True, True, True]


def test_a_report_of_a_run_that_did_nothing_has_no_charts() -> None:
    assert "data:" not in write_report({"outcome": "failed", "message": "no source", "release": None})


def test_the_longest_bar_fills_the_chart_and_the_others_are_in_proportion() -> None:
    svg = ElementTree.fromstring(stage_chart("<Seconds & more>", {"scan": 1.0, "embed": 4.0, "nothing": 0.0}))
    bars = [float(each.attrib["width"]) for each in svg.iter("{http://www.w3.org/2000/svg}rect")][1:]
    assert bars == [474 / 4, 474, 1]


@dataclass(frozen=True)
class Result:
    run: str = "r1"
    release: int | None = 7
    outcome: str = "published"
    message: str = "release 7: 2 added"
    counts: dict[str, int] = field(default_factory=lambda: {"added": 2})
    seconds: dict[str, float] = field(default_factory=lambda: {"scan": 0.25})


@pytest.fixture(scope="module")
def prefect() -> Iterator[None]:
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.mark.usefixtures("prefect")
def test_in_a_flow_run_stages_are_tasks_and_artifacts_are_published() -> None:
    from prefect import flow
    from prefect.client.orchestration import get_client
    from prefect.context import TaskRunContext

    thing, seen = object(), []

    @stage
    def embed(run_context: object, what: object) -> object:
        context = TaskRunContext.get()
        assert context is not None
        seen.append(context.task_run.name)
        progress = OnDashboard()
        progress.stage("embed")
        progress.advance(1, 4, "chunks")
        progress.advance(4, 4, "chunks")
        if what is None:
            raise LookupError("nothing to embed")
        return what

    @flow
    def night() -> None:
        seen.append(in_flow_run())
        seen.append(embed(None, thing))
        with pytest.raises(LookupError, match="nothing to embed"):
            embed(None, None)
        publish_artifacts(REPORT)
        publish_checks([{"name": "ids", "ok": True, "detail": ""}, {"name": "ledger", "ok": False, "detail": "3 more"}])

    night()
    assert seen == [True, "embed", thing, "embed"]
    assert not in_flow_run()
    with get_client(sync_client=True) as client:
        shown = {each.key: each for each in client.read_artifacts()}
    data = {key: each.data for key, each in shown.items()}
    assert set(data) == {"run-counts", "run-stages", "run-report", "audit-checks", "embedding-progress"}
    assert data["run-report"] == write_report(REPORT)
    assert '"share": "95%"' in str(data["run-stages"])
    assert str(data["audit-checks"]).index("FAILED") < str(data["audit-checks"]).index("ids")
    assert data["embedding-progress"] == 100.0
    assert str(shown["embedding-progress"].description).startswith("Embedded 4 of 4 chunks in ")


@pytest.mark.usefixtures("prefect")
@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        ("published", ("COMPLETED", "Completed")),
        ("unchanged", ("COMPLETED", "Completed")),
        ("refused", ("FAILED", "Refused")),
        ("needs-approval", ("FAILED", "NeedsApproval")),
        ("failed", ("FAILED", "Failed")),
    ],
)
def test_a_flow_run_ends_in_the_state_of_its_outcome_and_says_why(outcome: str, state: tuple[str, str]) -> None:
    from prefect import State, flow

    from flows.deployed import _concluded, _run_state, call

    result = Result(outcome=outcome, message="that is why")

    @flow
    def night() -> State[Any]:
        return _concluded(lambda: result, _run_state)

    ended = night(return_state=True)
    assert (ended.type.value, ended.name, ended.message) == (*state, "that is why")
    assert call(night) is result


@pytest.mark.usefixtures("prefect")
def test_an_error_on_purpose_is_a_named_state_and_reaches_the_caller_unchanged() -> None:
    from prefect import State, flow

    from flows.deployed import _concluded, _run_state, call
    from storage.errors import LeaseHeld

    held = LeaseHeld("run r0 holds the store since 02:00")

    def refuse() -> Result:
        raise held

    @flow
    def night() -> State[Any]:
        return _concluded(refuse, _run_state)

    ended = night(return_state=True)
    assert (ended.type.value, ended.name, ended.message) == ("FAILED", "LeaseHeld", str(held))
    with pytest.raises(LeaseHeld) as raised:
        call(night)
    assert raised.value is held
