"""The plots of a report whose axes mean something: the time line, figures of drift, the map of the corpus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np

from flows.report.charts import since_epoch
from flows.report.draw import WIDTH, Spec
from flows.report.facts import Drifted
from flows.report.inks import LIGHT
from tasks.watch.plane import Points

__all__ = ["SOURCES", "drift_chart", "history_chart", "map_chart", "source_inks"]

# The sources of the map, the largest first; the rest shares one.
SOURCES = ("blue", "green", "violet", "teal")
REST = "faint"
MAP = 300  # pixels high
EDGE = (
    1.0  # percent of the points beyond which a point lies on the edge: one far away must not press all others together
)
# A tick of a figure that may be 0.0000002 as well as 40,000.
SMALL = "datum.value != 0 && abs(datum.value) < 0.001 ? format(datum.value, '.1e') : format(datum.value, ',.4~r')"


def history_chart(releases: Sequence[Mapping[str, Any]], holds: Sequence[Mapping[str, Any]], now: datetime) -> Spec:
    """The time line of what readers saw: a step up a release, a step down where a rollback took them back.

    Args:
        releases: Rows of `storage.timeline`, newest first.
        holds: With `since` and `ended`, None while one stands.
        now: Where the line ends.
    """
    content: dict[int, int] = {}
    rows: list[dict[str, Any]] = []
    for row in reversed(releases):
        seq, back = row["release"], row["restored"]
        content[seq] = content.get(back, back) if back is not None else seq
        kind = "published" if back is None else "rollback"
        rows.append({"at": since_epoch(row["created"]), "of": content[seq], "kind": kind})
    last = {"at": since_epoch(now), "of": rows[-1]["of"]}
    first = rows[0]["at"]
    bands = [
        {"from": max(since_epoch(hold["since"]), first), "to": since_epoch(hold["ended"] or now)}
        for hold in holds
        if hold["ended"] is None or since_epoch(hold["ended"]) > first
    ]
    low, high = (pick(row["of"] for row in rows) for pick in (min, max))
    y = {"domain": [low - 0.5, high + 0.7], "nice": False, "zero": False}
    axis = {"title": "release that readers see", "tickMinStep": 1, "tickCount": 5, "format": "d"}
    kinds = {"published": LIGHT["blue"], "rollback": LIGHT["amber"]}
    shapes = {"published": "circle", "rollback": "triangle-down"}
    return {
        "height": 190,
        "layer": [
            {
                "data": {"values": bands},
                "mark": {"type": "rect", "color": LIGHT["amber"], "opacity": 0.22},
                "encoding": {"x": _time("from"), "x2": {"field": "to"}},
            },
            {
                "data": {"values": [*rows, last]},
                "mark": {"type": "line", "interpolate": "step-after", "color": LIGHT["pale"], "strokeWidth": 2},
                "encoding": {"x": _time("at"), "y": _number("of", y, axis)},
            },
            {
                "data": {"values": rows},
                "mark": {"type": "point", "filled": True, "size": 60, "opacity": 1},
                "encoding": {
                    "x": _time("at"),
                    "y": _number("of", y, axis),
                    "color": _by("kind", kinds),
                    "shape": _by("kind", shapes),
                },
            },
        ],
    }


def drift_chart(found: Drifted) -> Spec:
    """A figure of drift over the nights, under its limit; the nights that crossed it are red.

    Args:
        found: The figure; at least two nights of it.
    """
    rows = [
        {"at": since_epoch(at), "value": value, "limit": limit, "over": limit is not None and value > limit}
        for at, value, limit in found.past
    ]
    y = _number("value", {"zero": False, "padding": 8}, {"title": None, "tickCount": 3, "labelExpr": SMALL})
    last = rows[-1] | {"over": found.over}
    bounded = [row for row in rows if row["limit"] is not None]
    dashed = {"type": "line", "color": LIGHT["amber"], "strokeDash": [4, 3], "strokeWidth": 1.5}
    ink = {"condition": {"test": "datum.over", "value": LIGHT["red"]}, "value": LIGHT["blue"]}
    return {
        "height": 110,
        "data": {"values": [*rows[:-1], last]},
        "encoding": {"x": _time("at")},
        "layer": [
            {
                "data": {"values": bounded},
                "mark": dashed,
                "encoding": {"y": {"field": "limit", "type": "quantitative"}},
            },
            {"mark": {"type": "line", "color": LIGHT["pale"], "strokeWidth": 1.5}, "encoding": {"y": y}},
            {
                "mark": {"type": "point", "filled": True, "size": 26, "opacity": 1},
                "encoding": {"y": y, "color": ink},
            },
        ],
    }


def source_inks(points: Points) -> dict[str, str]:
    """Which ink the points of a source have: the four largest have one of their own."""
    largest = sorted(Counter(points.sources).items(), key=lambda item: (-item[1], item[0]))
    return {source: SOURCES[at] if at < len(SOURCES) else REST for at, (source, _) in enumerate(largest)}


def map_chart(points: Points) -> Spec:
    """The map: a dot a chunk in the ink of its source; what is new a ring around it, what drifted a diamond.

    Args:
        points: What is on it.
    """
    inks = source_inks(points)
    low, high = np.percentile(points.places, [EDGE, 100 - EDGE], axis=0)
    places = np.clip(points.places, low - (high - low) / 5, high + (high - low) / 5)
    rows = [
        {"x": round(float(x), 4), "y": round(float(y), 4), "kind": kind, "ink": LIGHT[inks[source]]}
        for (x, y), source, kind in zip(places, points.sources, points.kinds, strict=True)
    ]
    at = {name: _number(name, {"zero": False, "nice": False, "padding": 8}, None) for name in ("x", "y")}
    layers = [
        {"mark": {"type": "circle", "size": 9, "opacity": 0.55}, "encoding": {"color": _own("ink")}},
        _marked("new", {"type": "point", "size": 46, "color": LIGHT["amber"], "strokeWidth": 1.6}),
        _marked("drifted", {"type": "point", "shape": "diamond", "size": 80, "color": LIGHT["red"], "strokeWidth": 2}),
    ]
    return {"width": WIDTH, "height": MAP, "data": {"values": rows}, "encoding": at, "layer": layers}


def _marked(kind: str, mark: Mapping[str, Any]) -> dict[str, Any]:
    return {"transform": [{"filter": f"datum.kind === '{kind}'"}], "mark": dict(mark) | {"opacity": 1}}


def _time(field: str) -> dict[str, Any]:
    axis = {"title": None, "format": "%-d %b", "tickCount": 4, "grid": False, "labelOverlap": True}
    return {"field": field, "type": "temporal", "scale": {"type": "utc"}, "axis": axis}


def _number(field: str, scale: Mapping[str, Any], axis: Any) -> dict[str, Any]:
    return {"field": field, "type": "quantitative", "scale": dict(scale), "axis": axis}


def _by(field: str, looks: Mapping[str, str]) -> dict[str, Any]:
    scale = {"domain": list(looks), "range": list(looks.values())}
    return {"field": field, "type": "nominal", "scale": scale, "legend": None}


def _own(field: str) -> dict[str, Any]:
    """The ink that stands in a column."""
    return {"field": field, "type": "nominal", "scale": None}
