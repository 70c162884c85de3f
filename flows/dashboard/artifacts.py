"""What a run shows on the dashboard: tables, a Markdown report with a chart, and the progress of embedding."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flows.report.facts import Facts
from flows.report.markdown import times, write_drift, write_learning, write_plan, write_quality, write_report
from tasks.stage import in_flow_run

__all__ = [
    "OnDashboard",
    "embedding_progress",
    "publish",
    "publish_artifacts",
    "publish_checks",
    "publish_drift",
    "publish_gate",
    "publish_plan",
    "publish_quality",
]

logger = logging.getLogger(__name__)

# Prefect writes each update into its database; more often than this nobody can see.
UPDATE_SECONDS = 1.0
LISTED = 1_000  # documents of a plan in its table: a first build names every one, and a browser has to draw them


def publish(
    report: Mapping[str, Any] | Sequence[Any],
    gathered: Callable[[], Facts | None] = lambda: None,
    click: Callable[[str], str] = str,
) -> None:
    """Put on the dashboard what the result of a flow holds: checks, quality, drift, or counts and seconds of a run.

    Args:
        report: The result as JSON shows it; a list is for scripts and has no artifact.
        gathered: Gathers what a report tells beside it, where it tells of a run.
        click: Turns commands into what to click.
    """
    if not isinstance(report, Mapping):
        return
    if "estimated_seconds" in report:
        publish_plan({**report, "message": click(report["message"])})
        return
    if report.get("figures"):
        publish_drift(report)
    if report.get("checks"):
        publish_checks(report["checks"])
    if report.get("sets"):
        publish_quality(report)
    if report.get("gate"):
        publish_gate(report)
    if report.get("seconds"):
        publish_artifacts(report, gathered(), click)


def publish_artifacts(report: Mapping[str, Any], facts: Facts | None = None, click: Callable[[str], str] = str) -> None:
    """Put the tables and the report of a run on the dashboard; does nothing outside a Prefect flow run.

    A dashboard that does not answer costs a warning, never the run.

    Args:
        report: `run`, `release`, `outcome`, `message`, `space`, and the mappings `counts` and `seconds` (a stage each,
            and `total`); what is missing is left out.
        facts: What was gathered after the run; without, its report tells of the run alone.
        click: Turns commands into what to click.
    """
    if not in_flow_run():
        return
    from prefect.artifacts import create_markdown_artifact, create_table_artifact

    counts = report.get("counts") or {}
    seconds, whole = times(report)
    stages = [
        {"stage": name, "seconds": round(value, 2), "share": f"{value / (whole or 1):.0%}"}
        for name, value in seconds.items()
    ]

    markdown = write_report(report, facts, click)

    def send() -> None:
        create_table_artifact(
            key="run-counts",
            table=[{"what": name, "count": value} for name, value in counts.items()],
            description=f"Counts of run {report.get('run', '?')}: {report.get('outcome', '?')}.",
        )
        create_table_artifact(key="run-stages", table=stages, description="Seconds of each stage.")
        create_markdown_artifact(key="run-report", markdown=markdown, description="The morning's report, in short.")

    _send(send)


def publish_plan(report: Mapping[str, Any]) -> None:
    """Put a plan on the dashboard: what it would cost, and the documents by name; nothing outside a Prefect flow run.

    Args:
        report: A plan as JSON shows it.
    """
    if not in_flow_run():
        return
    from prefect.artifacts import create_markdown_artifact, create_table_artifact

    columns = ("change", "source", "document", "rule", "reason")
    rows = [{name: each[name] for name in columns} for each in report["documents"][:LISTED]]
    about = f"The documents that would change{f', {LISTED:,} of them' if len(report['documents']) > LISTED else ''}."

    def send() -> None:
        create_table_artifact(key="plan-documents", table=rows, description=about)
        create_markdown_artifact(key="plan", markdown=write_plan(report), description="What a refresh would do.")

    _send(send)


def publish_checks(checks: Sequence[Mapping[str, Any]]) -> None:
    """Put the checks of an audit on the dashboard as a table; does nothing outside a Prefect flow run.

    Args:
        checks: One mapping a check, with `name`, `ok` and `detail`.
    """
    if not in_flow_run():
        return
    from prefect.artifacts import create_table_artifact

    rows = [
        {"check": check["name"], "verdict": "ok" if check["ok"] else "FAILED", "detail": check["detail"]}
        # Failures first: a table of twenty lines is read from its top.
        for check in sorted(checks, key=lambda check: bool(check["ok"]))
    ]
    _send(lambda: create_table_artifact(key="audit-checks", table=rows, description="Every check of the audit."))


def publish_drift(report: Mapping[str, Any]) -> None:
    """Put what moved on the dashboard, alarms first; nothing outside a Prefect flow run.

    Args:
        report: `release`, `alarms` and `figures`, as JSON shows them.
    """
    if not in_flow_run():
        return
    from prefect.artifacts import create_markdown_artifact, create_table_artifact

    columns = ("family", "name", "source", "value", "median", "limit", "history")
    rows = [
        {"verdict": "ALARM" if each["alarm"] else "unusual" if each["over"] else "ok"}
        | {name: each[name] for name in columns}
        for each in sorted(report["figures"], key=lambda each: (not each["alarm"], not each["over"]))
    ]
    about = f"What moved in release {report['release']}."

    def send() -> None:
        create_table_artifact(key="drift", table=rows, description=about)
        create_markdown_artifact(key="drift-report", markdown=write_drift(report), description=about)

    _send(send)


def publish_quality(report: Mapping[str, Any]) -> None:
    """Put an evaluation on the dashboard, as a table and as charts with intervals; nothing outside a Prefect flow run.

    Args:
        report: An evaluation as JSON shows it: `release` and `sets`.
    """
    if not in_flow_run():
        return
    from prefect.artifacts import create_markdown_artifact, create_table_artifact

    rows = [
        {"set": each["name"], "mode": mode, **{name: value for name, value in found.items() if name != "exact"}}
        for each in report["sets"]
        for mode, found in each["modes"].items()
    ]
    about = f"How well release {report['release']} answers judged questions."

    def send() -> None:
        create_table_artifact(key="quality", table=rows, description=about)
        create_markdown_artifact(key="quality-report", markdown=write_quality(report), description=about)

    _send(send)


def publish_gate(report: Mapping[str, Any]) -> None:
    """Put a retraining on the dashboard: the bars of the gate as a table, the learning curve; nothing elsewhere.

    Args:
        report: A retraining as JSON shows it: `gate`, `training` and `challengers`.
    """
    if not in_flow_run():
        return
    from prefect.artifacts import create_markdown_artifact, create_table_artifact

    bars = sorted(report["gate"]["bars"], key=lambda bar: bool(bar["holds"]))
    rows = [{"bar": bar["name"], "verdict": "ok" if bar["holds"] else "MISSED", "of": bar["message"]} for bar in bars]

    def send() -> None:
        create_table_artifact(key="gate", table=rows, description="Every bar of the gate, those missed first.")
        create_markdown_artifact(key="learning", markdown=write_learning(report), description="How it learned.")

    _send(send)


def embedding_progress(what: str = "chunks") -> Callable[[int, int], None]:
    """A callback that shows the progress of embedding on the dashboard.

    Args:
        what: The unit that is counted.

    Returns:
        `callback(done, total)`, cheap and unfailing; outside a Prefect flow run it does nothing.
    """
    if not in_flow_run():
        return lambda done, total: None
    from prefect.artifacts import create_progress_artifact, update_progress_artifact

    artifact: list[Any] = []
    started = last = time.monotonic()
    answers = True

    def show(done: int, total: int) -> None:
        nonlocal last, answers
        now = time.monotonic()
        if not answers or (artifact and done < total and now - last < UPDATE_SECONDS):
            return
        last = now
        percent = 100.0 * done / total if total else 100.0
        text = f"Embedded {done:,} of {total:,} {what} in {now - started:.0f} s."

        def send() -> None:
            if artifact:
                update_progress_artifact(artifact_id=artifact[0], progress=percent, description=text)
            else:
                artifact.append(create_progress_artifact(progress=percent, key="embedding-progress", description=text))

        # Prefect tries a server that is down for half a minute: once is enough.
        answers = _send(send)

    return show


class OnDashboard:
    """The progress of a run for the dashboard: its stages are task runs already, so only embedding is drawn."""

    def __init__(self) -> None:
        self._embedding = False
        self._show: Callable[[int, int], None] | None = None

    def stage(self, name: str) -> None:
        """Say that a stage begins."""
        self._embedding = name == "embed"

    def advance(self, done: int, total: int | None, unit: str, tokens: int = 0) -> None:
        """Say how far the stage is."""
        if self._embedding and total:
            # Made at the first use, so that the artifact belongs to the task run of the stage.
            self._show = self._show or embedding_progress(unit)
            self._show(done, total)


def _send(publish: Callable[[], object]) -> bool:
    import httpx

    try:
        publish()
    except (httpx.HTTPError, OSError) as error:
        # The run's truth lies in our own table; a server that is down for a minute must not cost a night.
        logger.warning("the dashboard did not take an artifact: %s", error)
        return False
    return True
