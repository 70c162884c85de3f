"""The Prefect flows of the deployments: refresh, rollback and audit, each ending in a state that says why."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from prefect import State, flow
from prefect.context import FlowRunContext
from prefect.logging.handlers import APILogHandler
from prefect.states import Completed, Failed

from flows.artifacts import OnDashboard, publish_artifacts, publish_checks
from flows.environment import set_up
from storage.errors import TidemarkError
from tasks.stage import in_flow_run

__all__ = ["audit", "call", "refresh", "rollback"]

logger = logging.getLogger(__name__)

LOGGERS = ("flows", "tasks", "models", "storage", "tidemark")

# Names of the dashboard's states, and so of its events (`prefect.flow-run.NeedsApproval`), which may start other flows.
STATES = {"refused": "Refused", "needs-approval": "NeedsApproval", "failed": "Failed"}


@flow(persist_result=False)
def refresh(
    config: str = "",
    accept_deletions: bool = False,
    accept_stale: bool = False,
    accept_encoder: bool = False,
    rebuild: bool = False,
) -> State[Any]:
    """Bring the index up to date with its sources and publish what changed as one release.

    Args:
        config: The configuration file; empty for the tidemark.toml of the folder in which the worker runs.
        accept_deletions: Approve that a source loses more documents than it may lose unasked.
        accept_stale: Approve that more documents of a source are broken at once than may be unasked; their last
            versions go on answering.
        accept_encoder: Approve that another encoder replaces that of the current release.
        rebuild: Take nothing over from earlier releases: read, judge, cut and embed everything again.
    """
    from flows.config.schema import Config
    from flows.refresh import refresh as run

    def night() -> Any:
        loaded = Config.load(config or None)
        approved = {
            "accept_deletions": accept_deletions,
            "accept_stale": accept_stale,
            "accept_encoder": accept_encoder,
        }
        return run(loaded, **approved, rebuild=rebuild, trigger=_trigger(), console=OnDashboard())

    return _concluded(night, _run_state)


@flow(persist_result=False)
def rollback(to: int | None = None, config: str = "") -> State[Any]:
    """Publish a release that points back to an earlier one; readers see it at once and nothing is deleted.

    Args:
        to: The release to go back to; empty for the one before the current one.
        config: The configuration file; empty for the tidemark.toml of the folder in which the worker runs.
    """
    from flows.config.schema import Config
    from flows.rollback import rollback as run

    return _concluded(lambda: run(Config.load(config or None), to=to, trigger=_trigger()), _rollback_state)


@flow(persist_result=False)
def audit(config: str = "", deep: bool = False, release: int | None = None) -> State[Any]:
    """Prove that the published release is whole: counts, ids, vectors, index coverage, recall.

    Args:
        config: The configuration file; empty for the tidemark.toml of the folder in which the worker runs.
        deep: Read and hash every document of the sources too, instead of trusting their revisions.
        release: The release to audit; empty for the current one.
    """
    from flows.audit import audit as run
    from flows.config.schema import Config

    return _concluded(lambda: run(Config.load(config or None), deep=deep, release=release), _audit_state)


def call(deployed: Callable[..., Any], **parameters: Any) -> Any:
    """Run one of these flows in this process and hand back what its plain function would.

    Args:
        deployed: `refresh`, `rollback` or `audit`.
        **parameters: Of the flow.

    Returns:
        The result of the plain function, whatever its outcome.

    Raises:
        TidemarkError: The very error that the plain function raised.
    """
    state: State[Any] = deployed(**parameters, return_state=True)
    result = state.result(raise_on_failure=False)
    if isinstance(result, BaseException):
        raise result
    return result


def _concluded(run: Callable[[], Any], conclude: Callable[[Any, Mapping[str, Any]], State[Any]]) -> State[Any]:
    """The state in which a flow run ends; any other exception is left to Prefect, which shows it with its traceback."""
    set_up()
    with _logs_shown():
        try:
            result = run()
        except TidemarkError as error:
            logger.error("%s", error)
            return Failed(name=type(error).__name__, message=str(error), data=error)
        return conclude(result, dataclasses.asdict(result))


@contextlib.contextmanager
def _logs_shown() -> Iterator[None]:
    """Our loggers reach the dashboard: Prefect's own way (extra loggers) leaves them at the root's level, WARNING."""
    handler = APILogHandler()
    # A thread of a stage may log outside the context of the run, which Prefect would answer with a warning.
    handler.addFilter(lambda record: in_flow_run())
    changed = []
    for name in LOGGERS:
        ours = logging.getLogger(name)
        changed.append((ours, ours.level))
        ours.addHandler(handler)
        if not ours.isEnabledFor(logging.INFO):
            ours.setLevel(logging.INFO)
    try:
        yield
    finally:
        for ours, level in changed:
            ours.removeHandler(handler)
            ours.setLevel(level)


def _trigger() -> str:
    """Who started the flow run, for our own record."""
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    return "schedule" if run and run.auto_scheduled else "dashboard" if run and run.deployment_id else "manual"


def _run_state(result: Any, report: Mapping[str, Any]) -> State[Any]:
    publish_artifacts(report)
    outcome = report["outcome"]
    message = report.get("message") or _summary(report)
    if outcome in STATES:
        return Failed(name=STATES[outcome], message=message, data=result)
    return Completed(message=message, data=result)


def _rollback_state(result: Any, report: Mapping[str, Any]) -> State[Any]:
    return Completed(message=f"release {report['release']} restores release {report['restored']}", data=result)


def _audit_state(result: Any, report: Mapping[str, Any]) -> State[Any]:
    publish_checks(report["checks"])
    failed = [f"{check['name']}: {check['detail']}" for check in report["checks"] if not check["ok"]]
    if failed or not report["ok"]:
        return Failed(name="AuditFailed", message="; ".join(failed) or "the audit failed", data=result)
    return Completed(message=f"{len(report['checks'])} checks passed", data=result)


def _summary(report: Mapping[str, Any]) -> str:
    counts = ", ".join(f"{name} {count:,}" for name, count in report.get("counts", {}).items() if count)
    return f"{report['outcome']}, release {report.get('release')}: {counts or 'nothing to do'}"
