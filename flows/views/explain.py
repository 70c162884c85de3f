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
        *([("file", _spot(told["place"], span))] if told.get("place") else []),
        ("place", f"characters {span['start']:,} to {span['end']:,} of the stored text, chunk {_part(told)}"),
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


def _spot(place: Mapping[str, Any], span: Mapping[str, Any]) -> str:
    """File and lines of the chunk where they are known, else the line or row of its document."""
    if span.get("line") is not None:
        last = f" to {span['line_end']:,}" if span["line_end"] != span["line"] else ""
        return f"{place['file']}:{span['line']}{last}"
    row = f", row {place['row']:,}" if place.get("row") is not None else ""
    return f"{place['file']}{row}" if place["line"] is None else f"{place['file']}:{place['line']}"


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
