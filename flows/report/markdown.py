"""The Markdown report of a run."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from flows.report.charts import GREEN, stage_chart

__all__ = ["times", "write_report"]


def write_report(report: Mapping[str, Any]) -> str:
    """The Markdown report of a run, with its chart as a data address (Prefect shows neither inline SVG nor mermaid).

    Args:
        report: `run`, `release`, `outcome`, `message`, `space`, and the mappings `counts` and `seconds` (a stage each,
            and `total`); what is missing is left out.

    Returns:
        Markdown.
    """
    counts = report.get("counts") or {}
    seconds, whole = times(report)
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
        lines += [f"![Counts]({_data(stage_chart('Counts', drawn, colour=GREEN))})", ""]
    return "\n".join(lines)


def times(report: Mapping[str, Any]) -> tuple[dict[str, float], float]:
    """Seconds a stage, and of the whole run, which the report may hold under `total`."""
    seconds = dict(report.get("seconds") or {})
    whole = seconds.pop("total", None)
    return seconds, sum(seconds.values()) if whole is None else whole


def _data(svg: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode("ascii")
