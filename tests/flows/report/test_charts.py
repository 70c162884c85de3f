"""Charts of a report."""

from __future__ import annotations

from xml.etree import ElementTree

from flows.report.charts import stage_chart


def test_the_longest_bar_fills_the_chart_and_the_others_are_in_proportion() -> None:
    svg = ElementTree.fromstring(stage_chart("<Seconds & more>", {"scan": 1.0, "embed": 4.0, "nothing": 0.0}))
    bars = [float(each.attrib["width"]) for each in svg.iter("{http://www.w3.org/2000/svg}rect")][1:]
    assert bars == [474 / 4, 474, 1]
