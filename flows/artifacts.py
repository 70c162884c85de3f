"""What a run shows on the dashboard: tables, a Markdown report with a chart, and the progress of embedding."""

from __future__ import annotations

import base64
import html
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tasks.stage import in_flow_run

__all__ = ["OnDashboard", "embedding_progress", "publish_artifacts", "publish_checks", "stage_chart", "write_report"]

logger = logging.getLogger(__name__)

# Prefect writes each update into its database; more often than this nobody can see.
UPDATE_SECONDS = 1.0

_BLUE, _GREEN, _INK, _QUIET, _GRID = "#2f6fed", "#1d9a6c", "#1b2430", "#5b6675", "#dfe4ea"


def publish_artifacts(report: Mapping[str, Any]) -> None:
    """Put the tables and the report of a run on the dashboard; does nothing outside a Prefect flow run.

    A dashboard that does not answer costs a warning, never the run.

    Args:
        report: `run`, `release`, `outcome`, `message`, `space`, and the mappings `counts` and `seconds` (a stage each,
            and `total`); what is missing is left out.
    """
    if not in_flow_run():
        return
    from prefect.artifacts import create_markdown_artifact, create_table_artifact

    counts = report.get("counts") or {}
    seconds, whole = _times(report)
    stages = [
        {"stage": name, "seconds": round(value, 2), "share": f"{value / (whole or 1):.0%}"}
        for name, value in seconds.items()
    ]

    def publish() -> None:
        create_table_artifact(
            key="run-counts",
            table=[{"what": name, "count": value} for name, value in counts.items()],
            description=f"Counts of run {report.get('run', '?')}: {report.get('outcome', '?')}.",
        )
        create_table_artifact(key="run-stages", table=stages, description="Seconds of each stage.")
        create_markdown_artifact(key="run-report", markdown=write_report(report), description="The report of a run.")

    _send(publish)


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


def write_report(report: Mapping[str, Any]) -> str:
    """The Markdown report of a run, with its chart as a data address (Prefect shows neither inline SVG nor mermaid).

    Args:
        report: As for `publish_artifacts`.

    Returns:
        Markdown.
    """
    counts = report.get("counts") or {}
    seconds, whole = _times(report)
    lines = [f"# {str(report.get('outcome', 'run')).capitalize()}", ""]
    if report.get("message"):
        lines += [str(report["message"]), ""]
    facts = [(name, report.get(name)) for name in ("release", "run", "space") if report.get(name) is not None]
    lines += ["| of the run | |", "|---|---|", *(f"| {name} | `{value}` |" for name, value in facts)]
    lines += [f"| seconds | {whole:.1f} |", ""]
    if seconds:
        lines += [f"![Seconds of each stage]({_data(stage_chart('Seconds of each stage', seconds))})", ""]
    # Tokens are hundreds to a chunk: beside them every other bar would be a hair.
    drawn = {name: count for name, count in counts.items() if count and name != "tokens"}
    if drawn:
        lines += [f"![Counts]({_data(stage_chart('Counts', drawn, colour=_GREEN))})", ""]
    return "\n".join(lines)


def stage_chart(title: str, values: Mapping[str, float], *, colour: str = _BLUE) -> str:
    """Horizontal bars, one a name, drawn by hand so that the dashboard needs no plotting package.

    Args:
        title: Above the bars.
        values: What each bar shows, none negative.
        colour: Of the bars.

    Returns:
        An SVG document.
    """
    width, left, right, row, top = 720, 150, 96, 26, 44
    longest = max(values.values(), default=0) or 1
    height = top + row * len(values) + 14
    # The page may be dark: the chart brings its own background.
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="system-ui, sans-serif" font-size="13">',
        f'<rect width="{width}" height="{height}" rx="6" fill="#ffffff" stroke="{_GRID}"/>',
        f'<text x="16" y="26" font-weight="600" fill="{_INK}">{html.escape(title)}</text>',
    ]
    for at, (name, value) in enumerate(values.items()):
        y = top + at * row
        length = (width - left - right) * value / longest
        shown = f"{value:,}" if isinstance(value, int) else f"{value:,.2f} s"
        parts += [
            f'<text x="{left - 10}" y="{y + 15}" text-anchor="end" fill="{_QUIET}">{html.escape(name)}</text>',
            f'<rect x="{left}" y="{y + 3}" width="{max(length, 1):.1f}" height="16" rx="2" fill="{colour}"/>',
            f'<text x="{left + length + 8:.1f}" y="{y + 15}" fill="{_INK}">{shown}</text>',
        ]
    return "\n".join([*parts, "</svg>"])


def _times(report: Mapping[str, Any]) -> tuple[dict[str, float], float]:
    """Seconds a stage, and of the whole run, which the report may hold under `total`."""
    seconds = dict(report.get("seconds") or {})
    whole = seconds.pop("total", None)
    return seconds, sum(seconds.values()) if whole is None else whole


def _data(svg: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode("ascii")


def _send(publish: Callable[[], object]) -> bool:
    import httpx

    try:
        publish()
    except (httpx.HTTPError, OSError) as error:
        # The run's truth lies in our own table; a server that is down for a minute must not cost a night.
        logger.warning("the dashboard did not take an artifact: %s", error)
        return False
    return True
