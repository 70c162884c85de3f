"""The report of a morning as one HTML file that needs no network and no script."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from flows.report import words
from flows.report.charts import Bar, bar_chart, interval_chart, night_chart, stack_chart
from flows.report.draw import Spec, inline
from flows.report.facts import Drifted, Facts, Night
from flows.report.inks import DARK, LIGHT
from flows.report.plots import drift_chart, history_chart, map_chart, source_inks
from flows.report.verdict import verdict
from storage.counts import plural
from storage.outcome import Outcome

__all__ = ["NIGHTS", "OUTCOMES", "slices", "write_page"]

# Bars of nights, in the ink of how they ended.
OUTCOMES: Mapping[str, str] = {
    Outcome.PUBLISHED: "blue",
    Outcome.UNCHANGED: "faint",
    Outcome.NEEDS_APPROVAL: "amber",
    "held": "amber",
    Outcome.REFUSED: "red",
    Outcome.FAILED: "red",
    Outcome.INTERRUPTED: "red",
    Outcome.RUNNING: "teal",
}
# What is drawn of nights: title, and the figure.
NIGHTS: tuple[tuple[str, Callable[[Night], float | None]], ...] = (
    ("seconds", lambda night: night.seconds.get("total")),
    ("chunks embedded", lambda night: night.counts.get("embedded")),
    ("documents refused", lambda night: night.counts.get("quarantined")),
)
CURVES = 6  # figures of drift that are drawn; the others stand in a table
FIGURES = 80  # of that table
SLICES = 14  # of a set
RELEASES = 12  # of the table of releases
BARS = 14


def write_page(facts: Facts) -> str:
    """Write the page.

    Args:
        facts: What was gathered. The same facts give the same page.

    Returns:
        HTML. Whatever comes from documents is text in it, never markup.
    """
    about = {
        "facts": facts,
        "verdict": verdict(facts),
        "charts": {name: Markup(inline(spec)) for name, spec in _charts(facts).items()},  # noqa: S704 - names are escaped by the library
        "drawn": [(each, Markup(inline(drift_chart(each)))) for each in _curves(facts.drift)],  # noqa: S704
        "quality": [(name, Markup(inline(spec)), rows) for name, spec, rows in _quality(facts)],  # noqa: S704
        "stages": _stages(facts.night),
        "legend": [] if facts.points is None else list(source_inks(facts.points).items()),
        "light": LIGHT,
        "dark": DARK,
        "limits": {"figures": FIGURES, "releases": RELEASES, "slices": SLICES},
    }
    return _environment().get_template("page.html").render(about)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("flows.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {name: getattr(words, name) for name in words.__all__}
    environment.globals["plural"] = plural
    return environment


def _charts(facts: Facts) -> dict[str, Spec]:
    """The charts for which there is something to draw, by name."""
    made: dict[str, Spec] = {}
    if facts.timeline:
        made["timeline"] = history_chart(facts.timeline, facts.holds, facts.now)
    if len(facts.nights) > 1:
        for title, figure in NIGHTS:
            rows = [(night.started, figure(night), night.outcome) for night in facts.nights]
            made[title] = night_chart(rows, title=title, inks=OUTCOMES)
    seconds = _seconds(facts.night)
    if seconds:
        made["stages"] = bar_chart(seconds, unit="s")
    if facts.refused:
        known = [{"name": each.rule, "new": each.fresh, "known": each.count - each.fresh} for each in facts.refused]
        made["refused"] = stack_chart(known[:BARS], {"new": "amber", "known": "faint"}, title="documents")
    if facts.usage:
        kept = [{"name": f"{each.release}", "its own": each.own, "shared": each.shared} for each in facts.usage]
        made["usage"] = stack_chart(kept[-BARS:], {"its own": "blue", "shared": "faint"}, title="MB", scale=1e6)
    if facts.points is not None:
        made["map"] = map_chart(facts.points)
    return made


def _curves(figures: Sequence[Drifted]) -> list[Drifted]:
    """The figures that are worth a look: alarms, those out of their band, then those nearest to their limit."""
    past = [each for each in figures if len(each.past) > 1]
    return sorted(past, key=lambda each: (not each.alarm, not each.over, -_nearness(each)))[:CURVES]


def _nearness(figure: Drifted) -> float:
    if figure.limit is None or figure.median is None or figure.limit == figure.median:
        return -1.0
    return (figure.value - figure.median) / (figure.limit - figure.median)


def _quality(facts: Facts) -> list[tuple[str, Spec, list[dict[str, Any]]]]:
    """Of each set its name, the chart of modes and slices, and the rows of its modes."""
    found = []
    for name in dict.fromkeys(row["set"] for row in facts.quality):
        mine = [row for row in facts.quality if row["set"] == name]
        modes = [row for row in mine if row["by"] is None]
        bars = [Bar(row["mode"], *_interval(row)) for row in modes]
        bars += [Bar(f"{row['by']}: {row['value']}", *_interval(row)) for row in slices(mine)]
        found.append((name, interval_chart(bars, title="nDCG@10 with its interval"), modes))
    return found


def slices(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The slices of a set that are shown: those of the most questions."""
    parts = [row for row in rows if row["by"] is not None]
    return sorted(parts, key=lambda row: (row["by"], -(row["questions"] or 0), str(row["value"])))[:SLICES]


def _interval(row: Mapping[str, Any]) -> tuple[float, float, float]:
    value = row["ndcg_10"] or 0.0
    return value, value if row["low"] is None else row["low"], value if row["high"] is None else row["high"]


def _seconds(night: Night | None) -> dict[str, float]:
    """Seconds of each stage, the longest first: the record keeps no order."""
    stages = {} if night is None else {name: value for name, value in night.seconds.items() if name != "total"}
    return dict(sorted(stages.items(), key=lambda item: (-item[1], item[0])))


def _stages(night: Night | None) -> list[dict[str, Any]]:
    """Seconds of each stage and their share; tokens where the stage embeds."""
    seconds = _seconds(night)
    if night is None or not seconds:
        return []
    whole = night.seconds.get("total") or sum(seconds.values()) or 1
    tokens = {"embed": night.counts.get("tokens")}
    rest = whole - sum(seconds.values())
    every = seconds | ({"start and end": rest} if rest > 0.05 else {})
    return [
        {"name": name, "seconds": value, "share": value / whole, "tokens": tokens.get(name)}
        for name, value in every.items()
    ]
