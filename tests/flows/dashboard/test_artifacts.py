"""What a run shows on the dashboard, without a flow run and in one (the harness starts a real server)."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from flows.dashboard.artifacts import (
    OnDashboard,
    embedding_progress,
    publish,
    publish_artifacts,
    publish_checks,
    publish_quality,
)
from flows.report.markdown import write_quality, write_report
from storage.errors import InputError
from tasks.stage import in_flow_run, stage
from tasks.verdict import Held, Refused

REPORT: dict[str, Any] = {
    "run": "r1",
    "release": 7,
    "outcome": "published",
    "message": "release 7: 2 added",
    "space": "9f3a",
    "counts": {"documents": 1234, "added": 2},
    "seconds": {"scan": 0.25, "embed": 9.5, "total": 10.0},
}

METRICS = {"ndcg@10": 0.5, "recall@10": 0.4, "recall@100": 0.8, "mrr@10": 0.7, "map": 0.4, "interval": [0.4, 0.6]}
SET = {"name": "terms", "questions": 9, "modes": {"dense": METRICS}, "slices": [], "detectable": 0.21}
QUALITY: dict[str, Any] = {"release": 7, "sets": [SET]}


def test_without_a_flow_run_nothing_is_published() -> None:
    publish_artifacts(REPORT)
    publish_checks([{"name": "ids", "ok": True, "detail": "unique"}])
    publish_quality(QUALITY)
    embedding_progress()(1, 2)
    progress = OnDashboard()
    progress.stage("embed")
    progress.advance(1, 2, "chunks")


@pytest.mark.usefixtures("prefect")
def test_what_a_stage_raises_on_purpose_reaches_the_caller_and_has_no_traceback() -> None:
    from prefect import flow

    @stage
    def stop(run_context: object, error: Exception) -> None:
        raise error

    @flow
    def night() -> None:
        meant = (Held("somebody holds it"), Refused("too many"), InputError("no such folder"), LookupError("a fault"))
        for error in meant:
            with pytest.raises(type(error)) as raised:
                stop(None, error)
            assert raised.value is error

    records, handler = list[logging.LogRecord](), logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]
    logger = logging.getLogger("prefect.task_runs")
    logger.addHandler(handler)
    night()
    logger.removeHandler(handler)
    assert [record.exc_info[0] for record in records if record.exc_info and record.exc_info[0]] == [LookupError]
    told = " ".join(record.getMessage() for record in records)
    for state in ("Held('somebody", "Refused('too many", "InputError('no such"):
        assert state in told


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
        publish(REPORT)
        publish({"checks": [{"name": "ids", "ok": True, "detail": ""}, {"name": "it", "ok": False, "detail": "3"}]})
        publish({"release": 3, "restored": 1, "run": "r2"})
        publish(QUALITY)

    night()
    assert seen == [True, "embed", thing, "embed"]
    assert not in_flow_run()
    with get_client(sync_client=True) as client:
        shown = {each.key: each for each in client.read_artifacts()}
    data = {key: each.data for key, each in shown.items()}
    runs = {"run-counts", "run-stages", "run-report", "audit-checks", "embedding-progress"}
    assert set(data) == runs | {"quality", "quality-report"}
    assert data["quality-report"] == write_quality(QUALITY)
    assert '"mode": "dense"' in str(data["quality"])
    assert data["run-report"] == write_report(REPORT)
    assert '"share": "95%"' in str(data["run-stages"])
    assert str(data["audit-checks"]).index("FAILED") < str(data["audit-checks"]).index("ids")
    assert data["embedding-progress"] == 100.0
    assert str(shown["embedding-progress"].description).startswith("Embedded 4 of 4 chunks in ")
