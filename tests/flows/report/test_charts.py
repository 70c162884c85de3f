"""Charts of a report."""

from __future__ import annotations

from xml.etree import ElementTree

from flows.report.charts import Bar, interval_chart, stage_chart


def test_the_longest_bar_fills_the_chart_and_the_others_are_in_proportion() -> None:
    svg = ElementTree.fromstring(stage_chart("<Seconds & more>", {"scan": 1.0, "embed": 4.0, "nothing": 0.0}))
    bars = [float(each.attrib["width"]) for each in svg.iter("{http://www.w3.org/2000/svg}rect")][1:]
    assert bars == [474 / 4, 474, 1]


def test_an_interval_is_drawn_from_end_to_end_over_its_bar() -> None:
    svg = ElementTree.fromstring(interval_chart("nDCG@10", [Bar("dense <all>", 0.5, 0.25, 0.75), Bar("text", 0, 0, 0)]))
    widths = [float(each.attrib["width"]) for each in svg.iter("{http://www.w3.org/2000/svg}rect")][1:]
    assert widths == [220, 1]
    path = next(svg.iter("{http://www.w3.org/2000/svg}path")).attrib["d"]
    assert path.startswith("M320.0 ") and "H540.0" in path
    assert "0.500" in "".join(svg.itertext()) and "dense <all>" in "".join(svg.itertext())
