"""The charts of a report as Vega-Lite: bars, intervals, curves, nights, the time line, the map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flows.report.draw import Spec
from flows.report.inks import LIGHT
from flows.report.words import day, figure, say

__all__ = ["Bar", "bar_chart", "curve_chart", "interval_chart", "night_chart", "stack_chart"]

ROW = 24  # pixels of a bar with its gap
TICKS = 4  # dates below nights, at most


@dataclass(frozen=True)
class Bar:
    """A share with its interval.

    Attributes:
        name: What it is of.
        value: From 0 to 1.
        low: Lower end of its interval.
        high: Its upper end.
    """

    name: str
    value: float
    low: float
    high: float


def bar_chart(values: Mapping[str, float], *, unit: str = "", ink: str = "blue") -> Spec:
    """Horizontal bars, each with its figure at its end.

    Args:
        values: What each bar shows, none negative.
        unit: Behind each figure.
        ink: Of the bars.
    """
    longest = max(values.values(), default=0) or 1
    rows = [
        {"name": say(name, 24), "value": value, "told": f"{_short(value)}{unit and f' {unit}'}"}
        for name, value in values.items()
    ]
    # A third is left for the figures behind the bars.
    across = _quantity("value", {"domain": [0, longest * 1.35], "nice": False}, axis=None)
    return _rows(rows, len(values)) | {
        "encoding": {"y": _names(), "x": across},
        "layer": [
            {"mark": {"type": "bar", "color": LIGHT[ink], "height": 14}},
            {"mark": {"type": "text", "align": "left", "dx": 5}, "encoding": {"text": {"field": "told"}}},
        ],
    }


def stack_chart(rows: Sequence[Mapping[str, Any]], inks: Mapping[str, str], *, title: str, scale: float = 1.0) -> Spec:
    """Horizontal bars of parts that lie one behind the other.

    Args:
        rows: `name` of the bar, and a number for each part.
        inks: Part to its ink, in the order in which the parts lie.
        title: What is counted, below the bars.
        scale: By which the numbers are divided.
    """
    parts = [
        {"name": say(row["name"], 24), "part": part, "value": row[part] / scale, "order": order}
        for row in rows
        for order, part in enumerate(inks)
    ]
    colour = {
        "field": "part",
        "type": "nominal",
        "sort": list(inks),
        "scale": {"domain": list(inks), "range": [LIGHT[ink] for ink in inks.values()]},
        "legend": {"orient": "top", "title": None, "offset": 4, "padding": 0},
    }
    x = _quantity("value", {"nice": True}, axis={"title": title, "tickCount": 4, "format": "~s"})
    encoding = {"y": _names(), "x": x, "color": colour, "order": {"field": "order", "type": "quantitative"}}
    made = _rows(parts, len(rows)) | {"mark": {"type": "bar", "height": 14}, "encoding": encoding}
    return made | {"height": ROW * len(rows) + 66}


def interval_chart(bars: Sequence[Bar], *, title: str) -> Spec:
    """Points from 0 to 1, each on the line of its interval.

    Args:
        bars: What is shown, from top to bottom.
        title: What is measured, below.
    """
    rows = [
        {"name": say(bar.name, 26), "value": bar.value, "low": bar.low, "high": bar.high, "told": f"{bar.value:.3f}"}
        for bar in bars
    ]
    x = _quantity(
        "low", {"domain": [0, 1.28], "nice": False}, axis={"title": title, "values": [0, 0.2, 0.4, 0.6, 0.8, 1]}
    )
    line = {"mark": {"type": "rule", "strokeWidth": 3, "color": LIGHT["pale"]}}
    return _rows(rows, len(bars)) | {
        "height": ROW * len(bars) + 40,
        "encoding": {"y": _names()},
        "layer": [
            line | {"encoding": {"x": x, "x2": {"field": "high"}}},
            {
                "mark": {"type": "circle", "size": 70, "color": LIGHT["blue"], "opacity": 1},
                "encoding": {"x": _plain("value")},
            },
            {
                "mark": {"type": "text", "align": "left", "dx": 6},
                "encoding": {"x": _plain("high"), "text": {"field": "told"}},
            },
        ],
    }


def curve_chart(points: Sequence[tuple[int, float]], *, title: str) -> Spec:
    """A line through points, its ends labelled.

    Args:
        points: Steps and values, at least two.
        title: What is measured.
    """
    rows = [{"step": step, "value": value} for step, value in points]
    ends = [row | {"told": f"{row['value']:.3f}"} for row in (rows[0], rows[-1])]
    return {
        "height": 150,
        "data": {"values": rows},
        "encoding": {
            "x": _quantity("step", {"nice": False, "padding": 22}, axis={"title": "step", "tickCount": 5}),
            "y": _quantity("value", {"zero": False, "padding": 12}, axis={"title": title, "tickCount": 4}),
        },
        "layer": [
            {"mark": {"type": "line", "color": LIGHT["blue"], "strokeWidth": 2}},
            {
                "data": {"values": ends},
                "mark": {"type": "text", "dy": -10},
                "encoding": {"text": {"field": "told"}},
            },
        ],
    }


def night_chart(
    nights: Sequence[tuple[datetime, float | None, str]], *, title: str, inks: Mapping[str, str], height: int = 96
) -> Spec:
    """One narrow bar a night, in the ink of how it ended.

    Args:
        nights: Start, figure and outcome of each, oldest first.
        title: What is shown, above.
        inks: Outcome to ink; blue where it has none.
        height: In pixels.
    """
    rows = [
        {"at": at, "value": value or 0, "ink": LIGHT[inks.get(outcome, "blue")]}
        for at, (_, value, outcome) in enumerate(nights)
    ]
    x = {
        "field": "at",
        "type": "ordinal",
        "axis": _dates([started for started, _, _ in nights]),
        "scale": {"paddingInner": 0.25, "paddingOuter": 0.2},
    }
    return {
        "height": height,
        "title": {"text": title, "anchor": "start", "fontSize": 12, "fontWeight": "normal", "color": LIGHT["ink"]},
        "data": {"values": rows},
        "mark": {"type": "bar"},
        "encoding": {
            "x": x,
            "y": _quantity("value", {"nice": True}, axis={"title": None, "tickCount": 3, "format": "~s"}),
            "color": {"field": "ink", "type": "nominal", "scale": None},
        },
    }


def _dates(times: Sequence[datetime]) -> dict[str, Any]:
    """An axis that says the date of some of the nights."""
    step = max(1, -(-len(times) // TICKS))
    told = {at: day(times[at]) for at in range(0, len(times), step)}
    texts = [told.get(at, "") for at in range(len(times))]
    return {
        "title": None,
        "values": list(told),
        "labelExpr": f"{texts}[datum.value]",
        "labelAngle": 0,
        "labelOverlap": True,
        "ticks": False,
        "domain": False,
    }


def _rows(rows: Sequence[Mapping[str, Any]], count: int) -> Spec:
    return {"height": ROW * max(count, 1) + 4, "data": {"values": [dict(row) for row in rows]}}


def _names() -> dict[str, Any]:
    axis = {"title": None, "domain": False, "ticks": False, "grid": False, "labelColor": LIGHT["ink"]}
    return {"field": "name", "type": "nominal", "sort": None, "axis": axis}


def _quantity(field: str, scale: Mapping[str, Any], *, axis: Any) -> dict[str, Any]:
    return {"field": field, "type": "quantitative", "scale": dict(scale), "axis": axis}


def _plain(field: str) -> dict[str, Any]:
    return {"field": field, "type": "quantitative"}


def _short(value: float) -> str:
    """Write the figure at the end of a bar."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}" if value >= 10 else figure(round(value, 2))


def since_epoch(then: datetime) -> int:
    """A time as Vega wants it: milliseconds."""
    return int(then.astimezone(UTC).timestamp() * 1000)
