"""The Markdown report of a run."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from flows.report.charts import GREEN, Bar, curve_chart, interval_chart, stage_chart

__all__ = ["times", "write_drift", "write_learning", "write_quality", "write_report"]


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


def write_drift(report: Mapping[str, Any]) -> str:
    """The Markdown report of what moved: alarms with what to do, figures beside their bands.

    Args:
        report: `release`, `alarms` and `figures`, as JSON shows them.

    Returns:
        Markdown.
    """
    alarms = report["alarms"]
    lines = [f"# Drift of release {report['release']}", "", *([] if alarms else ["No alarm.", ""])]
    for each in alarms:
        about = f"{each['name']} of {each['source'] or each['family']}"
        lines += [f"- **{about}**: {each['value']:.4g}, limit {each['limit']:.4g}. {each['advice'].capitalize()}."]
    lines += ["", "| family | figure | source | tonight | usual | limit | |", "|---|---|---|---|---|---|---|"]
    for each in report["figures"]:
        usual = ["", ""] if each["limit"] is None else [f"{each[name]:.4g}" for name in ("median", "limit")]
        verdict = "**alarm**" if each["alarm"] else "unusual" if each["over"] else ""
        cells = [each["family"], each["name"], each["source"] or "", f"{each['value']:.4g}", *usual, verdict]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def write_learning(report: Mapping[str, Any]) -> str:
    """The Markdown report of a retraining: challengers, re-rankers, and the curves of loss and dev questions.

    Args:
        report: A retraining as JSON shows it: `training`, `challengers`, `rerankers` and `message`.

    Returns:
        Markdown.
    """
    training = report.get("training") or {}
    lines = ["# Retraining", "", str(report.get("message", "")), "", "| challenger | space | verdict | why |"]
    lines.append("|---|---|---|---|")
    for each in report.get("challengers") or []:
        lines.append(f"| {each['name']} | {each['space'][:12]} | {each['verdict']} | {'; '.join(each['reasons'])} |")
    if report.get("rerankers"):
        lines += ["", "| re-ranker | verdict | gain | ms a query | why |", "|---|---|---|---|---|"]
    for each in report.get("rerankers") or []:
        cells = f"{each['kind']} | {each['verdict']} | {each['gain']:+.3f} | {each['milliseconds']:.0f}"
        lines.append(f"| {cells} | {each['reason']} |")
    for name, title in (("losses", "Loss by step"), ("curve", "nDCG@10 on dev questions by step")):
        if len(training.get(name) or []) > 1:
            lines += ["", f"![{title}]({_data(curve_chart(title, training[name]))})"]
    return "\n".join(lines) + "\n"


def write_quality(report: Mapping[str, Any]) -> str:
    """The Markdown report of an evaluation: for each set its modes, and a chart of modes and slices with intervals.

    Args:
        report: An evaluation as JSON shows it: `release` and `sets`.

    Returns:
        Markdown.
    """
    lines = [f"# Quality of release {report['release']}", ""]
    for each in report["sets"]:
        lines += [f"## {each['name']}", "", "| mode | nDCG@10 | interval | recall@10 | recall@100 | MRR@10 | MAP |"]
        lines += ["|---|---|---|---|---|---|---|"]
        bars = []
        for mode, found in each["modes"].items():
            low, high = found["interval"]
            shown = [found[name] for name in ("recall@10", "recall@100", "mrr@10", "map")]
            cells = [mode, f"{found['ndcg@10']:.3f}", f"{low:.3f} to {high:.3f}", *(f"{value:.3f}" for value in shown)]
            lines += [f"| {' | '.join(cells)} |"]
            bars.append(Bar(mode, found["ndcg@10"], low, high))
        bars += [Bar(f"{part['by']}: {part['value']}", part["ndcg@10"], *part["interval"]) for part in each["slices"]]
        chart = interval_chart(f"nDCG@10 of {each['name']}, by mode and slice", bars)
        told = f"{each['questions']:,} questions show a difference of {each['detectable']:.3f} in four of five cases."
        lines += ["", f"![nDCG@10]({_data(chart)})", "", told, ""]
    return "\n".join(lines)


def times(report: Mapping[str, Any]) -> tuple[dict[str, float], float]:
    """Seconds a stage, and of the whole run, which the report may hold under `total`."""
    seconds = dict(report.get("seconds") or {})
    whole = seconds.pop("total", None)
    return seconds, sum(seconds.values()) if whole is None else whole


def _data(svg: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode("ascii")
