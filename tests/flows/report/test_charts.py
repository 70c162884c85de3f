"""Charts of a report: what they show, that the language of charts allows them, and that they are drawn alike."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import altair
import numpy as np
import pytest

from flows.report.charts import Bar, bar_chart, curve_chart, interval_chart, night_chart, stack_chart
from flows.report.draw import WIDTH, Spec, inline
from flows.report.facts import Drifted
from flows.report.inks import DARK, LIGHT, NEUTRAL
from flows.report.plots import drift_chart, history_chart, map_chart
from tasks.watch.plane import Points

NOW = datetime(2026, 3, 20, 9, tzinfo=UTC)
NAMES = ("<script>", "tide & moon")


def every() -> dict[str, Spec]:
    nights = [(NOW - timedelta(days=5 - n), float(n), "published") for n in range(5)]
    past = tuple((at, value, None if value < 2 else 3.5) for at, value, _ in nights)
    drifted = Drifted("data", "documents", None, 4.0, 2.0, 3.5, 4, True, True, "", past)
    releases = [
        {"release": seq, "restored": 1 if seq == 3 else None, "created": NOW - timedelta(days=4 - seq)}
        for seq in (3, 2, 1)
    ]
    places = np.array([[0, 0], [1, 1], [2, 0]], dtype=np.float32)
    points = Points(places, ["a", "a", "<b>"], ["old", "new", "drifted"], 3, 1)
    holds = [{"since": NOW - timedelta(days=2), "ended": None}]
    return {
        "bars": bar_chart({NAMES[0]: 1.0, NAMES[1]: 4.0, "none": 0}, unit="s"),
        "stack": stack_chart([{"name": NAMES[0], "a": 1, "b": 2}], {"a": "blue", "b": "faint"}, title="MB"),
        "intervals": interval_chart([Bar(NAMES[0], 0.5, 0.25, 0.75)], title="nDCG@10"),
        "curve": curve_chart([(0, 2.0), (10, 1.0)], title="loss"),
        "nights": night_chart(nights, title="seconds", inks={"published": "blue"}),
        "drift": drift_chart(drifted),
        "history": history_chart(releases, holds, NOW),
        "map": map_chart(points),
    }


@pytest.mark.parametrize("name", every())
def test_a_chart_is_what_the_language_of_charts_allows(name: str) -> None:
    altair.Chart.from_dict({**every()[name]}, validate=True)


@pytest.mark.parametrize("name", every())
def test_a_chart_is_as_wide_as_a_phone_is_drawn_alike_twice_and_has_inks_of_the_page_alone(name: str) -> None:
    drawn = inline(every()[name])
    assert drawn == inline(every()[name])
    assert "http" not in drawn and "<script" not in drawn
    svg = ElementTree.fromstring(drawn)
    assert float(svg.attrib["width"]) <= WIDTH + 1
    inks = {each.attrib[name] for each in svg.iter() for name in ("fill", "stroke") if name in each.attrib}
    assert inks - {"none", "transparent"} <= set(LIGHT.values())


def test_a_bar_says_its_name_and_its_figure() -> None:
    text = "".join(ElementTree.fromstring(inline(every()["bars"])).itertext())
    assert all(part in text for part in (*NAMES, "4 s", "none"))


def test_every_page_has_every_ink() -> None:
    assert set(LIGHT) == set(DARK) == set(NEUTRAL)
    assert len(set(LIGHT.values())) == len(LIGHT)  # a page tells them apart by their values
