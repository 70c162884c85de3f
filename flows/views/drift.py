"""Draws what moved for a terminal: alarms with what to do, and every figure beside its band."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from flows.drift import Backtest
from flows.views.parts import clean, heading, steps, table

if TYPE_CHECKING:
    from tasks.watch.figures import DriftResult, Judged

__all__ = ["drift_view", "figure_text"]

COUNTS = ("documents", "chunks", "deleted", "length", "age")
CELLS = 3


def drift_view(found: DriftResult | Backtest) -> RenderableType:
    """Draw the figures of a night, or what the kept nights would have alarmed."""
    return _backtest(found) if isinstance(found, Backtest) else _night(found)


def _night(found: DriftResult) -> RenderableType:
    style = "yellow" if found.alarms else "green"
    about = ", ".join(f"{count:,} {name}" for name, count in found.counts.items())
    parts: list[RenderableType] = [heading(f"release {found.release}", about, found.message, style)]
    for judged in found.figures:
        if judged.alarm:
            parts.append(_alarm(judged))
    if found.figures:
        parts += [Text(""), _figures(found.figures)]
    parts += [Text(clean(note), style="dim") for note in found.notes]
    commands = ["tidemark diff", "tidemark drift --backtest"] if found.alarms else []
    return Group(*parts, steps(commands, "look at what changed, and at how the nights before were judged:"))


def _alarm(judged: Judged) -> RenderableType:
    figure, band = judged.figure, judged.band
    usual = "" if band is None else f", usually {figure_text(figure.name, band.median)}, limit "
    usual += "" if band is None else figure_text(figure.name, band.limit)
    line = Text.assemble(
        "\n",
        ("! ", "bold yellow"),
        (clean(f"{figure.name} of {figure.source or figure.family}"), "bold"),
        f"  {figure_text(figure.name, figure.value)}",
        (usual, "dim"),
    )
    lines: list[RenderableType] = [line, Text(f"  {clean(judged.advice)}")]
    lines += [Text(f"  {clean(each)}", style="dim") for each in _detail(figure.detail)]
    return Group(*lines)


def _detail(detail: Mapping[str, Any]) -> list[str]:
    """What a person needs to act on a figure, in a few lines."""
    lines = []
    for kind in ("grew", "emptied"):
        for cell in detail.get(kind, [])[:CELLS]:
            named = ", ".join(f"{each['source']}/{each['document']}" for each in cell["documents"])
            lines.append(f"a cell {kind} to {cell['share']:.1%} from {cell['usual']:.1%}: {named}")
    if detail.get("auc"):
        lines.append(f"a classifier tells tonight from before with an AUC of {detail['auc']:.2f} (.5: it cannot)")
    for name in ("words", "documents", "longest"):
        if detail.get(name) and isinstance(detail[name], list):
            lines.append(f"{name}: {', '.join(map(str, detail[name]))}")
    for name in ("counts", "rules"):
        if detail.get(name):
            lines.append(f"{name}: " + ", ".join(f"{each} {count:,}" for each, count in detail[name].items()))
    return lines


def _figures(figures: Sequence[Judged]) -> RenderableType:
    rows = table(
        "figure", "source", "tonight", "usual", "limit", "nights", "",
        right=(2, 3, 4, 5), optional=("usual", "limit", "source", "nights"),
    )  # fmt: skip
    for judged in sorted(figures, key=_rank):
        figure, band = judged.figure, judged.band
        usual = ("", "") if band is None else tuple(figure_text(figure.name, v) for v in (band.median, band.limit))
        verdict = "ALARM" if judged.alarm else "unusual" if judged.over else "" if band else "no history yet"
        style = "yellow" if judged.over else "" if band else "dim"
        name = f"{figure.family} {figure.name}"
        nights = "" if band is None else str(band.nights)
        value = figure_text(figure.name, figure.value)
        rows.add_row(clean(name), clean(figure.source or ""), value, *usual, nights, verdict, style=style)
    return rows


def _rank(judged: Judged) -> tuple[bool, bool, str, str, str]:
    """What is unusual stands above, the rest by what it is of, then of which source."""
    figure = judged.figure
    return (not judged.alarm, not judged.over, str(figure.family), figure.source or "", figure.name)


def _backtest(found: Backtest) -> RenderableType:
    style = "yellow" if any(night.result.alarms for night in found.nights) else "green"
    parts: list[RenderableType] = [heading("backtest", "", found.message, style)]
    rows = table(
        "night", "release", "alarm", "value", "limit", "nights", right=(1, 3, 4, 5), optional=("limit", "nights")
    )
    for night in found.nights:
        for alarm in night.result.alarms:
            rows.add_row(
                f"{night.created:%Y-%m-%d %H:%M}",
                "" if night.result.release is None else str(night.result.release),
                clean(f"{alarm.name} of {alarm.source or alarm.family}"),
                figure_text(alarm.name, alarm.value),
                figure_text(alarm.name, alarm.limit),
                str(alarm.nights),
            )
    return Group(*parts, Text(""), rows) if rows.row_count else Group(*parts)


def figure_text(name: str, value: float) -> str:
    """Write a figure as people read it: counts whole, shares and distances with three digits.

    Args:
        name: Of the figure.
        value: The figure.
    """
    return f"{value:,.0f}" if name in COUNTS else f"{value:.3g}"
