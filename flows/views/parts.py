"""The parts that every view is drawn of: headings, tables, grids, steps, and the colour of each outcome."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from rich.bar import Bar
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from flows.views.lines import Hint, Pairs
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
    return Padding(line, (1, 0, 0, 0), expand=False)


def grid(rows: Sequence[tuple[str, ...]], gap: int = 1) -> RenderableType:
    """Draw names and values side by side; the second column is one of numbers where a third explains it.

    Args:
        rows: Two or three texts each.
        gap: Blank lines above.
    """
    return Padding(Pairs([[clean(value) for value in row] for row in rows]), (gap, 0, 0, 0), expand=False)


def bars(seconds: Mapping[str, float]) -> RenderableType:
    """Draw the seconds of each stage, the longest as a full bar."""
    stages = {name: value for name, value in seconds.items() if name != "total"}
    longest = max(stages.values(), default=0) or 1
    made = Table.grid(padding=(0, 2))
    made.add_column(style="dim", no_wrap=True)
    made.add_column(justify="right", no_wrap=True)
    made.add_column(max_width=BAR)
    for name, value in stages.items():
        made.add_row(clean(name), f"{value:.2f} s", Bar(size=longest, begin=0, end=value, color="cyan"))
    if "total" in seconds:
        made.add_row("total", Text(f"{seconds['total']:.2f} s", style="bold"), "")
    return Padding(made, (1, 0, 0, 0), expand=False)


def steps(commands: Sequence[str], lead: str) -> RenderableType:
    """Draw commands to go on with; nothing where there are none."""
    if not commands:
        return Text("")
    lines = [Text(lead, style="dim"), *(Text(f"  {command}", style="cyan") for command in commands)]
    return Hint(Padding(Group(*lines), (1, 0), expand=False))


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
