"""Draws where a chunk comes from, in the words of a person: places, dates and settings in place of fingerprints."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType

from flows.views.lines import below
from flows.views.look import age, excerpt
from flows.views.parts import clean, grid, heading, named, steps

__all__ = ["explain_view"]


def explain_view(told: Mapping[str, Any]) -> RenderableType:
    """Draw everything that made a chunk; `--json` has the fingerprints too."""
    document, span = told["document"], told["span"]
    rows = [
        ("chunk", told["chunk"]),
        ("document", f"{document['source']}/{named(document['id'])}"),
        *([("file", str(told["file"]))] if told.get("file") else []),
        (
            "place",
            f"{_lines(told)}characters {span['start']:,} to {span['end']:,} of the stored text, chunk {_part(told)}",
        ),
        *(("let in by hand", f"{each['rule']}: {each['why']} ({each['who']})") for each in told.get("waivers") or ()),
        *([("changed", _date(document["timestamp"]))] if document.get("timestamp") else []),
        ("cut", f"{span['tokens']:,} tokens; {_settings(told.get('cut') or {})}"),
        ("embedded by", f"{told['encoder']['name']}, space {told['space']}"),
        ("read by", _run(told["run"])),
        ("release", f"{told['release']['release']} of {_date(told['release']['created'])}"),
    ]
    return Group(
        heading(document["title"] or named(document["id"]), "", "", "default"),
        below(excerpt(told["text"], "")),
        grid([(name, clean(value)) for name, value in rows]),
        steps([f"tidemark show {told['run']['run']}"], "more of that run:"),
    )


def _lines(told: Mapping[str, Any]) -> str:
    """The lines of the chunk in its file, or the line of the record that holds it; nothing where there are none."""
    span, place = told["span"], told.get("place") or {}
    if span.get("line"):
        return f"lines {span['line']:,} to {span['line_end']:,} of the file; "
    number = next((f"{unit} {place[unit]:,}" for unit in ("line", "row") if place.get(unit)), None)
    return f"{number} of the file; " if number else ""


def _part(told: Mapping[str, Any]) -> str:
    return f"{told['span']['ordinal'] + 1:,} of {told['document']['n_chunks']:,}"


def _settings(cut: Mapping[str, Any]) -> str:
    """The settings of the chunker, or that its release does not say them."""
    return ", ".join(f"{name} = {value}" for name, value in cut.items()) or "the settings are not on record"


def _run(run: Mapping[str, Any]) -> str:
    started = f", {_date(run['started'])}" if run.get("started") else ""
    return f"run {run['run']}{started}"


def _date(when: datetime | str) -> str:
    return f"{when:%Y-%m-%d %H:%M} UTC ({age(when)})" if isinstance(when, datetime) else str(when)
