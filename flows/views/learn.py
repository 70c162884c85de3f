"""Draws a retraining for a terminal: how the loss fell, every challenger, and the bars of the gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from flows.views.lines import below
from flows.views.parts import COLOURS, bars, clean, grid, heading, steps, table
from storage.outcome import Outcome

if TYPE_CHECKING:
    from tasks.learn.report import RetrainResult

__all__ = ["retrain_view"]

_LEVELS = "▁▂▃▄▅▆▇█"
_WIDTH = 40  # points of a curve


def retrain_view(result: RetrainResult) -> RenderableType:
    """Draw a retraining."""
    outcome = result.outcome
    what = f"release {result.release}" if outcome is Outcome.PUBLISHED else "retrain"
    parts: list[RenderableType] = [heading(what, f"run {result.run}", outcome, COLOURS[outcome])]
    if outcome is not Outcome.PUBLISHED:
        parts.append(Text(clean(result.message), style=COLOURS[outcome]))
    training = result.report.get("training") or {}
    if training:
        parts.append(grid(_training(training)))
    if result.challengers:
        parts.append(_challengers(result))
    gate = result.report.get("gate") or {}
    if gate:
        parts.append(_gate(gate["bars"]))
    if result.rerankers:
        parts.append(_rerankers(result))
    parts.append(bars(result.seconds))
    parts.append(steps(_next(result), "next:"))
    return Group(*parts)


def _training(training: Mapping[str, Any]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [
        (
            "training",
            f"{training['rows']:,} pairs, {training['steps']:,} steps of {training['step_seconds']:.2f} s, "
            f"best after {training['best']:,}",
        )
    ]
    if training["losses"]:
        values = [value for _, value in training["losses"]]
        rows.append(("loss", f"{_curve(values)}  {values[0]:.3f} to {values[-1]:.3f}"))
    if training["curve"]:
        values = [value for _, value in training["curve"]]
        rows.append(("dev nDCG@10", f"{_curve(values)}  {values[0]:.3f} to {max(values):.3f}"))
    return rows


def _curve(values: Sequence[float]) -> str:
    """A curve in one line of block characters, its least value at the bottom."""
    if len(values) > _WIDTH:
        values = [values[at * len(values) // _WIDTH] for at in range(_WIDTH)]
    least, most = min(values), max(values)
    scale = (len(_LEVELS) - 1) / (most - least) if most > least else 0
    return "".join(_LEVELS[round((value - least) * scale)] for value in values)


def _challengers(result: RetrainResult) -> RenderableType:
    rows = table(
        "challenger", "space", "verdict", "dev nDCG@10", "champion", right=(3, 4), optional=("champion", "space")
    )
    for each in result.challengers:
        dev = each.metrics.get("dev") or {}
        style = {"passed": "green", "refused": "red"}.get(each.verdict, "dim")
        cells = [f"{dev[name]:.3f}" if name in dev else "-" for name in (each.name, "champion")]
        rows.add_row(clean(each.name), each.space[:12], Text(each.verdict, style=style), *cells)
    return below(rows)


def _gate(found: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Every bar of the gate, those that were missed first."""
    rows = table("", "bar", "what was measured")
    for bar in sorted(found, key=lambda bar: bool(bar["holds"])):
        mark = Text("ok", style="green") if bar["holds"] else Text("MISSED", style="bold red")
        rows.add_row(mark, clean(bar["name"]), clean(bar["message"]))
    return below(rows)


def _rerankers(result: RetrainResult) -> RenderableType:
    """Every re-ranker that was tried, those that were kept out too."""
    heads = ("re-ranker", "verdict", "gain", "interval", "ms a query", "why")
    rows = table(*heads, right=(2, 3, 4), optional=("interval", "ms a query"))
    for each in result.rerankers:
        style = "green" if each.verdict == "promoted" else "red"
        gained = (f"{each.gain:+.3f}", f"{each.low:+.3f} to {each.high:+.3f}") if each.questions else ("-", "-")
        took = f"{each.milliseconds:.0f}" if each.milliseconds else "-"
        rows.add_row(clean(each.kind), Text(each.verdict, style=style), *gained, took, clean(each.reason))
    return below(rows)


def _next(result: RetrainResult) -> list[str]:
    if result.outcome is Outcome.NEEDS_APPROVAL:
        return ["tidemark retrain --yes"]
    if result.outcome is Outcome.PUBLISHED:
        return ["tidemark evaluate", 'tidemark search "..."', "tidemark rollback"]
    return ["tidemark models", f"tidemark show {result.run}"]
