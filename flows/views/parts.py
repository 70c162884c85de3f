"""The parts that every view is drawn of: headings, tables, grids, steps, and the colour of each outcome."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from rich.bar import Bar
from rich.console import Group, RenderableType
from rich.text import Text

from flows.views.lines import Hint, Pairs, below
from flows.views.tables import table
from storage.outcome import Outcome

__all__ = ["COLOURS", "bars", "clean", "grid", "heading", "named", "size", "steps", "table"]

COLOURS: Mapping[str, str] = {
    Outcome.RUNNING: "cyan",
    Outcome.PUBLISHED: "green",
    Outcome.UNCHANGED: "green",
    Outcome.PASSED: "green",
    Outcome.NEEDS_APPROVAL: "yellow",
    Outcome.HELD: "yellow",
    Outcome.LEASE_HELD: "yellow",
    Outcome.REFUSED: "red",
    Outcome.FAILED: "red",
    Outcome.INTERRUPTED: "red",
}
BAR = 32
BESIDE = "start and records"  # what a run does around its stages
REST = 0.005  # seconds below which nobody misses a row
# Control characters, and those that nobody sees: of no width, turning the direction, ending a line, tags, selectors.
CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f\U000e0100-\U000e01ef]"
)
NAMED = 200  # characters of a name that are shown


def heading(what: str, about: str, verdict: str, style: str) -> RenderableType:
    """Draw the first line of a result: what it is about and how it ended."""
    line = Text.assemble(
        (clean(what), "bold"), ("  "), (clean(verdict), f"bold {style}"), ("  "), (clean(about), "dim")
    )
    return below(line)


def grid(rows: Sequence[tuple[str, ...]], gap: int = 1) -> RenderableType:
    """Draw names and values side by side; the second column is one of numbers where a third explains it.

    Args:
        rows: Two or three texts each.
        gap: Blank lines above.
    """
    return below(Pairs([[clean(value) for value in row] for row in rows]), gap)


def bars(seconds: Mapping[str, float]) -> RenderableType:
    """Draw the seconds of each stage and their share of the total, which is a full bar.

    What no stage accounts for, such as the start of libraries, the lease and the records, has a row of its own.
    """
    stages = {name: value for name, value in seconds.items() if name != "total"}
    spent = sum(stages.values())
    total = max(seconds.get("total", spent), spent)
    if total - spent >= REST:
        stages[BESIDE] = total - spent
    made = table("stage", "seconds", "share", "", right=(1, 2), optional=("",))
    for name, value in stages.items():
        share = value / total if total else 0.0
        made.add_row(clean(name), f"{value:.2f}", f"{share:.0%}", Bar(1, 0, share, width=BAR, color="cyan"))
    if "total" in seconds:
        made.add_row(Text("total", style="bold"), Text(f"{total:.2f}", style="bold"), "", "")
    return below(made)


def steps(commands: Sequence[str], lead: str) -> RenderableType:
    """Draw commands to go on with; nothing where there are none."""
    if not commands:
        return Text("")
    lines = [
        *([Text(lead, style="dim")] if lead else []),
        *(Text(f"  {command}", style="cyan") for command in commands),
    ]
    return Hint(below(Group(*lines, Text(""))))


def clean(text: object) -> str:
    """Drop control characters and invisible ones, so that a document cannot steer the terminal or turn its lines."""
    return CONTROL.sub("", str(text))


def named(name: object) -> str:
    """Show the id of a document on one line: a name that holds line breaks could otherwise forge a line."""
    shown = clean(str(name).replace("\n", "\\n").replace("\t", "\\t"))
    return shown if len(shown) <= NAMED else f"{shown[:NAMED]}..."


def size(count: float) -> str:
    """Write bytes as people read them: "812 bytes", "4.1 MB"."""
    if count < 1000:
        return f"{count:.0f} bytes"
    for unit in ("kB", "MB", "GB"):
        count /= 1000
        if count < 999.5:
            return f"{count:.1f} {unit}"
    return f"{count / 1000:,.1f} TB"
