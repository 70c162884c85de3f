"""Draws what the looking commands find: hits, releases, runs, refused documents, differences, records."""

from __future__ import annotations

import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from flows.views.counts import apart, worded
from flows.views.lines import Hung, below
from flows.views.parts import COLOURS, bars, clean, grid, heading, named, steps, table
from flows.views.progress import duration
from storage.counts import indexed, plural
from storage.outcome import Outcome

if TYPE_CHECKING:
    from storage.diff import Difference
    from storage.reader import Hit
    from tasks.learn.compare import Answers

__all__ = [
    "age",
    "diff_view",
    "excerpt",
    "facts_view",
    "hits_view",
    "quarantine_view",
    "releases_view",
    "runs_view",
]

EXCERPT = 420  # characters of a chunk that a hit shows
SHOWN = 15  # documents of a kind that a difference names; --json names all
START = ("tidemark plan", "tidemark refresh")
LEADING = ("counts", "seconds")  # parts of a record that come before the others
UNFINISHED = (Outcome.RUNNING, Outcome.FAILED, Outcome.INTERRUPTED, Outcome.REFUSED, Outcome.NEEDS_APPROVAL)
WORD = re.compile(r"\w{3,}")
SPACES = re.compile(r"\s+")


def hits_view(release: int, query: str, hits: Sequence[Hit], places: Sequence[str | None] = ()) -> RenderableType:
    """Draw hits: score, title, source, place, and the passage with the words of the query.

    Args:
        release: The release that was searched.
        query: What was looked for.
        hits: The hits.
        places: File and line of each, where they are known.
    """
    found = f"{plural(len(hits), 'hit')} in release {release}" if hits else f"nothing found in release {release}"
    parts: list[RenderableType] = [Text.assemble(("\n" + clean(query), "bold"), ("  " + found, "dim"))]
    for rank, (hit, place) in enumerate(zip_longest(hits, places), start=1):
        # Not of the file: what is stored has other line ends and no blanks behind its lines.
        span = f"characters {hit.start:,} to {hit.end:,} of the stored text"
        where = f"{hit.source}  {named(place or hit.document)}  {span}  chunk {hit.chunk}"
        lead = Text.assemble((f"{rank:>3} ", "dim"), (f"{hit.score:.3f} ", "green"))
        parts += [
            Text(""),
            Hung(lead, Text(named(hit.title or hit.document), style="bold")),
            Hung(Text(" " * lead.cell_len), Text(clean(where), style="dim")),
            Hung(Text(" " * lead.cell_len), excerpt(hit.text, query)),
        ]
    return Group(*parts, Text(""))


def excerpt(text: str, query: str, length: int = EXCERPT) -> Text:
    """Cut the passage of a text that holds most words of the query, and mark them.

    Args:
        text: The text of a chunk.
        query: What was looked for.
        length: Characters to show.
    """
    flat = SPACES.sub(" ", clean(text)).strip()
    words = {word.lower() for word in WORD.findall(query)}
    marks = [match.span() for match in WORD.finditer(flat) if match.group().lower() in words]
    start = 0
    if len(flat) > length:
        starts = [0, *(max(0, at - length // 6) for at, _ in marks)]
        firsts, lasts = [a for a, _ in marks], [b for _, b in marks]
        start = max(starts, key=lambda at: (max(0, bisect_right(lasts, at + length) - bisect_left(firsts, at)), -at))
        start = flat.rfind(" ", 0, start) + 1 if start else 0
    stop = min(len(flat), start + length)
    if stop < len(flat):
        stop = max(flat.rfind(" ", start, stop), start + length // 2)
    shown = Text("... " if start else "", style="default")
    shift = len(shown) - start
    shown.append(flat[start:stop])
    for a, b in marks:
        if start <= a and b <= stop:
            shown.stylize("bold cyan", a + shift, b + shift)
    return shown.append(" ..." if stop < len(flat) else "")


def releases_view(
    rows: Sequence[Mapping[str, Any]], now: datetime | None = None, writer: str | None = None
) -> RenderableType:
    """Draw the releases as a timeline: the current one marked, those that a rollback took back dimmed.

    Args:
        rows: The releases, newest first.
        now: The time, with zone; that of the clock if None.
        writer: The run that is at work on the store; None where none is.
    """
    if not rows:
        return _first_at_work(writer) if writer else _nothing("nothing is published yet", START)
    made = table(
        "", "release", "created", "what", "documents", "chunks", "embedded", "apart", "encoder", "space",
        right=(1, 4, 5, 6), optional=("created", "documents", "chunks", "embedded", "encoder", "apart", "space"),
    )  # fmt: skip
    for row in rows:
        counts = row["counts"] or {}
        what = "published" if row["restored"] is None else f"back to {row['restored']}"
        notes = [f"taken back by {row['rolled_back_by']}"] if row["rolled_back_by"] else []
        notes += [] if row["kept"] else ["no longer kept"]
        notes += ["held"] if _standing(row) else []
        encoder = f"{row['encoder']}" + (" (fake vectors)" if row["stub"] else "")
        encoder += " (bridged: vectors are mapped)" if row["bridged"] else ""
        cells = [
            "●" if row["current"] else "│" if row["kept"] else "·",
            str(row["release"]),
            age(row["created"], now),
            ", ".join([what, *notes]),
            f"{indexed(counts):,}",
            *(f"{counts.get(name, 0):,}" for name in ("chunks", "embedded")),
            apart(counts),
            clean(encoder),
            row["space"][:12],
        ]
        style = "bold" if row["current"] else "dim" if row["rolled_back_by"] or not row["kept"] else ""
        made.add_row(*cells, style=style)
    working = [Text(f"run {writer} is at work: tidemark runs", style="cyan")] if writer else []
    return Group(Text(""), made, *working, *_held(rows), steps([], ""))


def _first_at_work(writer: str) -> RenderableType:
    told = f"nothing is published yet; run {clean(writer)} is at work on it"
    return Group(Text(told), steps(["tidemark runs", "tidemark status"], "to see how it goes:"))


def _held(rows: Sequence[Mapping[str, Any]]) -> list[RenderableType]:
    """Why readers are kept to what they have, where they are."""
    lines = [
        Text(f"held since {hold['since']:%Y-%m-%d %H:%M} UTC by {clean(hold['who'])}: {clean(hold['why'])}", "yellow")
        for row in rows
        for hold in _standing(row)
    ]
    lead = "runs build and publish nothing; to let them publish:"
    return [Text(""), *lines, steps(["tidemark unhold"], lead)] if lines else []


def _standing(row: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [hold for hold in row.get("holds", ()) if hold["ended"] is None]


def runs_view(rows: Sequence[Mapping[str, Any]], now: datetime | None = None) -> RenderableType:
    """Draw the runs, the failed ones with their reason."""
    if not rows:
        return _nothing("no run yet", START)
    made = table(
        "run", "what", "started", "took", "outcome", "release", "said",
        right=(5,), optional=("started", "release", "said", "took"),
    )  # fmt: skip
    for row in rows:
        # Of a run that was killed before it gave another sign of life than its start nobody knows how long it took.
        took = (row["finished"] - row["started"]).total_seconds() if row["finished"] else 0.0
        made.add_row(
            str(row["run"]),
            row["kind"],
            age(row["started"], now),
            duration(took) if took else "",
            Text(row["outcome"], style=COLOURS.get(row["outcome"], "default")),
            "" if row["release"] is None else str(row["release"]),
            clean(_first(row["message"] or "")),
        )
    return Group(Text(""), made, Text(""))


def quarantine_view(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Draw the refused documents: which, by which rule, why, how often tried."""
    if not rows:
        return Text("the quarantine is empty: no document is refused")
    made = table("document", "source", "rule", "reason", "tried", right=(4,), optional=("source", "tried"))
    for row in rows:
        since = row.get("stale_since")
        stands = f"; last version of {since:%Y-%m-%d} stays" if since else ""
        cells = (named(row["document"]), row["source"], row["rule"], f"{row['reason']}{stands}")
        made.add_row(*(clean(cell) for cell in cells), str(row["attempts"]))
    lead = f"{len(rows)} refused; each is tried again when its content or its rule changes"
    stale = sum(row.get("stale_since") is not None for row in rows)
    lead += f"; of {stale} the version from before they broke stays in the index" if stale else ""
    return Group(Text(""), made, Text("\n" + lead, style="dim"))


def diff_view(difference: Difference, answers: Answers | None = None) -> RenderableType:
    """Draw what differs between two releases and, where they were asked, between their answers."""
    counts = difference.counts
    told = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count) or "no document differs"
    parts: list[RenderableType] = [heading(f"{difference.a} to {difference.b}", "", told, "default")]
    marks = {"added": ("+", "green"), "changed": ("~", "yellow"), "metadata": ("m", "yellow"), "moved": (">", "cyan")}
    for name in counts:
        mark, style = marks.get(name, ("-", "red"))
        rows = getattr(difference, name)
        lines: list[RenderableType] = [
            Hung(Text(f"{mark} ", style=style), Text(clean(_place(row)), style=style)) for row in rows[:SHOWN]
        ]
        if len(rows) > SHOWN:
            lines.append(Text(f"  and {len(rows) - SHOWN:,} more {name} (--json lists them all)", style="dim"))
        parts += lines
    if difference.facts:
        made = table("beside the documents", str(difference.a), str(difference.b))
        for name, (before, after) in difference.facts.items():
            made.add_row(name, _short(before), _short(after))
        parts.append(below(made))
    if answers is not None:
        from flows.views.quality import answers_view

        parts.append(answers_view(difference.a, difference.b, answers))
    return Group(*parts, Text(""))


def facts_view(title: str, facts: Mapping[str, Any]) -> RenderableType:
    """Draw a record: plain values first, then counts and seconds, then each other part under its name.

    What is empty is left out.
    """
    audit = facts.get("audit")
    if isinstance(audit, Mapping) and "checks" in audit:  # `audit` draws them; here their number is enough
        failed = sum(not check["ok"] for check in audit["checks"])
        facts = {**facts, "audit": {**audit, "checks": f"{len(audit['checks'])} made, {failed} failed"}}
    flat = [
        (name, _value(value)) for name, value in facts.items() if not isinstance(value, Mapping) and not _empty(value)
    ]
    parts: list[RenderableType] = [Text("\n" + clean(title), style="bold"), grid(flat)]
    nested = {name: value for name, value in facts.items() if isinstance(value, Mapping) and value}
    for name in sorted(nested, key=lambda name: LEADING.index(name) if name in LEADING else len(LEADING)):
        value = nested[name]
        if name == "seconds" and all(isinstance(inner, int | float) for inner in value.values()):
            parts.append(bars(value))
            continue
        planned = " as planned: the run ended before it had done all" if name == "counts" and _broken(facts) else ""
        shown = worded(value) if name == "counts" else value
        rows = [(str(key), _value(inner)) for key, inner in shown.items() if not _empty(inner)]
        parts += [Text.assemble("\n", (clean(name), "cyan"), (planned, "dim")), grid(rows, gap=0)]
    return Group(*parts, Text(""))


def _broken(facts: Mapping[str, Any]) -> bool:
    """Whether a record is of a run that counted what it was to do and did not get to its end."""
    return "run" in facts and facts.get("outcome") in UNFINISHED


def age(then: datetime, now: datetime | None = None) -> str:
    """Write how long ago something was, and beyond two days the date."""
    now = now or datetime.now(UTC)
    seconds = max(0.0, (now - then).total_seconds())
    if seconds < 60:
        return "just now"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min ago"
    if seconds < 172_800:
        return f"{seconds // 3600:.0f} h ago"
    return then.astimezone().strftime("%Y-%m-%d %H:%M")


def _place(row: Mapping[str, Any]) -> str:
    """Name a document, and where it was before it moved."""
    place = named(f"{row['source']}/{row['document']}")
    return f"{_place(row['before'])} is now {place}" if "before" in row else place


def _value(value: Any) -> str:
    """Write a value of a record."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    if isinstance(value, Mapping):
        return ", ".join(f"{name} = {_value(inner)}" for name, inner in value.items() if not _empty(inner))
    if isinstance(value, list | tuple) and any(isinstance(inner, Mapping) for inner in value):
        return "\n".join(_value(inner) for inner in value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _empty(value: Any) -> bool:
    """Tell whether a value says nothing; 0 and false do say something."""
    return value is None or value == "" or (isinstance(value, list | tuple | Mapping) and not value)


def _short(value: Any, length: int = 80) -> str:
    """Write a value on one line."""
    return _cut(clean("" if value is None else _value(value)), length)


def _first(message: str, length: int = 100) -> str:
    """The first line of a message, cut where it is long; `show` has all of it."""
    return _cut((message.splitlines() or [""])[0], length)


def _cut(text: str, length: int) -> str:
    """Shorten a text between two words, or within one that is longer than all the room."""
    if len(text) <= length:
        return text
    room = text[: length - 3]
    return f"{room.rpartition(' ')[0] or room[:-1]} ..."


def _nothing(what: str, commands: Sequence[str]) -> RenderableType:
    return Group(Text(what), steps(commands, "start with:"))
