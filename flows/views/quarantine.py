"""Draws refused documents one by one, and what people decided of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from flows.views.look import quarantine_view
from flows.views.parts import clean, grid, heading, named, steps, table

if TYPE_CHECKING:
    from flows.quarantine import Listed, Waiving

__all__ = ["list_view", "retry_view", "show_view", "waivers_view", "waiving_view"]

SHOWN = 20  # documents that are tried again, by name
EFFECTS: Mapping[str, str] = {
    "in-force": "the document is indexed",
    "next-refresh": "the next refresh lets it in",
    "rule-changed": "no more: the rule is another one now",
    "content-changed": "no more: the document is another one now",
    "refused-by-another-rule": "another rule refuses it",
    "document-gone": "none: the document is gone",
}


def list_view(found: Listed) -> RenderableType:
    """Draw all that is refused, and below it what is waived."""
    rows = [row if row["waiver"] is None else row | {"reason": _waived(row)} for row in found.rows]
    drawn = quarantine_view(rows)
    return Group(drawn, waivers_view(found.waivers)) if found.waivers else drawn


def _waived(row: Mapping[str, Any]) -> str:
    waiver = row["waiver"]
    return f"{row['reason']}; the next refresh lets it in: {waiver['who']} waived it ({waiver['why']})"


def waivers_view(waivers: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Draw waivers: of which document, which rule, by whom, why, and what comes of them."""
    if not waivers:
        return Text("nothing is waived")
    made = table("waived", "source", "rule", "by", "why", "effect")
    for row in waivers:
        cells = (named(row["document"]), row["source"], row["rule"], row["who"], row["why"], EFFECTS[row["effect"]])
        made.add_row(*(clean(cell) for cell in cells))
    return Group(Text(""), made, Text("`tidemark quarantine unwaive DOC` takes one back", style="dim"))


def show_view(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Draw refused documents in full."""
    return Group(*(part for row in rows for part in _shown(row)), Text(""))


def _shown(row: Mapping[str, Any]) -> list[RenderableType]:
    number = f":{row['line']}" if row["line"] else f" row {row['row']}" if row["row"] else ""
    facts = [
        ("source", row["source"]),
        ("file", f"{row['file'] or 'cannot be told'}{number}"),
        ("rule", row["rule"]),
        ("reason", row["reason"]),
        ("refused since", f"{_time(row['first_seen'])}, tried {row['attempts']} x, last {_time(row['last_seen'])}"),
    ]
    if row.get("stale_since"):
        facts.append(("in the index", f"its last good version, since {_time(row['stale_since'])}"))
    if row["waiver"]:
        facts.append(("waived", f"{row['waiver']['why']} ({row['waiver']['who']}); the next refresh lets it in"))
    if row.get("excerpt"):
        facts.append(("begins with", clean(row["excerpt"])))
    lead, ways = "what you can do:", list(row["remedies"])
    ways.append(f"have it judged anew as it is: tidemark quarantine retry {_quoted(row['document'])}")
    verdict = "refused" if not row["waiver"] else "waived"
    head = heading(named(row["document"]), "", verdict, "yellow" if row["waiver"] else "red")
    return [head, grid(facts), steps(ways, lead)]


def retry_view(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Draw which documents are tried again."""
    lines = [Text(f"{named(row['document'])}  {clean(row['rule'])}", style="dim") for row in rows[:SHOWN]]
    if len(rows) > SHOWN:
        lines.append(Text(f"and {len(rows) - SHOWN:,} more", style="dim"))
    told = "the next refresh judges them anew, though nothing changed"
    count = f"{len(rows):,} document{'s' if len(rows) != 1 else ''}"
    return Group(
        heading(count, told, "asked for", "green"), *lines, steps(["tidemark plan", "tidemark refresh"], "next:")
    )


def waiving_view(result: Waiving) -> RenderableType:
    """Draw what was waived, or is waived no more."""
    verdict = "waived no more" if result.waivers[0].ended else "waived"
    lines = [Text(f"{clean(each.rule)}: {clean(each.told)}", style="dim") for each in result.waivers]
    head = heading(named(result.waivers[0].document), result.message, verdict, "green")
    return Group(head, *lines, steps(["tidemark plan", "tidemark refresh"], "next:"))


def _time(when: datetime) -> str:
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _quoted(name: str) -> str:
    return "'" + name.replace("'", "'\\''") + "'" if not name.replace("/", "").replace(".", "").isalnum() else name
