"""Draws the result of a plan, a refresh, a rollback and an audit for a terminal of any width."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.bar import Bar
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from flows.views.progress import duration

if TYPE_CHECKING:
    from flows.plan import Forecast
    from flows.refresh import RunResult
    from flows.rollback import RollbackResult
    from tasks.release.audit import AuditResult

__all__ = [
    "CAUSES",
    "audit_view",
    "clean",
    "grid",
    "heading",
    "plan_view",
    "refresh_view",
    "rollback_view",
    "size",
    "steps",
    "table",
]

# Every cause of work that a plan names, in the order in which it is told, in the words of an operator.
CAUSES = {
    "new": "new in a source",
    "content": "content changed",
    "metadata": "only title or metadata changed: nothing to embed",
    "touched": "touched, content as before: nothing to embed",
    "revision": "revision differs",
    "rules": "judged again by other rules",
    "moved": "moved or renamed: vectors go along",
    "duplicate": "same content as another document: shares its vectors",
    "deleted": "gone from the source",
    "refused": "refused by a rule now",
    "held": "refused before and not mended since: stays in quarantine",
    "stale": "broken in the source: the last version stays",
    "encoder": "the encoder is another: every chunk is embedded for it",
    "chunker": "the chunker is another: every document is cut anew",
    "rebuild": "everything anew, as asked",
    "moved-chunks": "chunks that move with their document",
}
CHUNKS = ("moved-chunks",)
OUTCOMES = {
    "published": "green",
    "unchanged": "green",
    "rollback": "green",
    "needs-approval": "yellow",
    "refused": "red",
    "failed": "red",
    "interrupted": "red",
    "running": "cyan",
}
DOCUMENTS = ("added", "changed", "moved", "unchanged", "duplicates", "quarantined")
BAR = 32
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def plan_view(found: Forecast) -> RenderableType:
    """Draw what a refresh would do."""
    base = "the first release" if found.release is None else f"on top of release {found.release}"
    causes = table("documents", "why", right=(0,))
    # A moved document is new at its new place; it is told once, as moved.
    why = found.causes | {"new": found.causes.get("new", 0) - found.causes.get("moved", 0)}
    for name in (*CAUSES, *(name for name in why if name not in CAUSES)):
        if why.get(name, 0) > 0 and name not in CHUNKS:
            causes.add_row(f"{why[name]:,}", CAUSES.get(name, name))
    same = found.counts.get("unchanged", 0)
    causes.add_row(Text(f"{same:,}", style="dim"), Text("unchanged", style="dim"))
    counts = found.counts
    costs = [
        ("chunks to embed", f"{counts.get('embedded', 0):,} of {counts.get('chunks', 0):,}"),
        ("chunks re-used", f"{counts.get('reused', 0):,}"),
        ("tokens to embed", f"{found.tokens:,}"),
        ("estimated time", duration(found.estimated_seconds)),
        ("bytes to write", size(found.bytes)),
    ]
    would = {"published": "would publish", "unchanged": "nothing to do"}.get(
        found.outcome, f"would end {found.outcome}"
    )
    next_steps = {
        "published": ["tidemark refresh"],
        "needs-approval": [_approval(found.message)],
        "refused": ["tidemark quarantine list"],
    }
    return Group(
        heading("plan", base, would, OUTCOMES.get(found.outcome, "default")),
        *_message(found.message, found.outcome),
        causes,
        grid(costs),
        steps(next_steps.get(found.outcome, []), "nothing was written; to go on:"),
    )


def refresh_view(result: RunResult) -> RenderableType:
    """Draw how a run ended: counts, seconds a stage as bars, what to do next."""
    counts = result.counts
    told = "no release yet" if result.release is None else f"release {result.release}"
    parts: list[RenderableType] = [
        heading(told, f"run {result.run}", result.outcome, OUTCOMES.get(result.outcome, "default")),
        *_message(result.message, result.outcome),
    ]
    if counts:
        documents = ", ".join(f"{counts[name]:,} {name}" for name in DOCUMENTS if counts.get(name))
        deleted = f"; {counts['deleted']:,} deleted" if counts.get("deleted") else ""
        chunks = f"{counts.get('embedded', 0):,} embedded, {counts.get('reused', 0):,} re-used"
        rows = [
            ("documents", f"{counts.get('documents', 0):,}", documents + deleted),
            ("chunks", f"{counts.get('chunks', 0):,}", chunks),
        ]
        parts.append(grid(rows))
    if result.seconds:
        parts.append(_bars(result.seconds))
    parts.append(steps(_next(result), "next:"))
    return Group(*parts)


def rollback_view(result: RollbackResult) -> RenderableType:
    """Draw a rollback."""
    return Group(
        heading(f"release {result.release}", f"restores release {result.restored}", "published", "green"),
        steps([f"tidemark diff {result.restored} {result.release - 1}", f"tidemark rollback --to {result.release - 1}"],
              "nothing was deleted; to see what was taken back, or to undo it:"),
    )  # fmt: skip


def audit_view(result: AuditResult) -> RenderableType:
    """Draw the checks of an audit, the failed ones with how to repair them."""
    rows = table("", "check", "detail")
    for check in sorted(result.checks, key=lambda check: check.ok):
        mark = Text("ok", style="green") if check.ok else Text("FAILED", style="bold red")
        rows.add_row(mark, clean(check.name), clean(check.detail))
    failed = sum(not check.ok for check in result.checks)
    told = f"{failed} of {len(result.checks)} checks failed" if failed else f"{len(result.checks)} checks hold"
    return Group(heading("audit", told, "whole" if result.ok else "damaged", "green" if result.ok else "red"), rows)


def heading(what: str, about: str, verdict: str, style: str) -> RenderableType:
    """Draw the first line of a result: what it is about and how it ended."""
    line = Text.assemble(
        (clean(what), "bold"), ("  "), (clean(verdict), f"bold {style}"), ("  "), (clean(about), "dim")
    )
    return Padding(line, (1, 0, 0, 0), expand=False)


def table(*columns: str, right: Sequence[int] = ()) -> Table:
    """Make an empty table in the house's look; what is too long is folded, never cut.

    Args:
        *columns: Headings.
        right: Positions of the columns of numbers.
    """
    made = Table(box=box.SIMPLE_HEAD, header_style="cyan", pad_edge=False, show_edge=False, padding=(0, 1))
    for position, name in enumerate(columns):
        number = position in right
        made.add_column(name, justify="right" if number else "left", overflow="fold", no_wrap=number)
    return made


def grid(rows: Sequence[tuple[str, ...]], gap: int = 1) -> RenderableType:
    """Draw names and values side by side; the second column is one of numbers where a third explains it.

    Args:
        rows: Two or three texts each.
        gap: Blank lines above.
    """
    made = Table.grid(padding=(0, 2))
    made.add_column(style="dim", no_wrap=True)
    width = max((len(row) for row in rows), default=1)
    for position in range(1, width):
        made.add_column(overflow="fold", justify="right" if width > 2 and position == 1 else "left")
    for row in rows:
        made.add_row(*(clean(value) for value in row))
    return Padding(made, (gap, 0, 0, 0), expand=False)


def steps(commands: Sequence[str], lead: str) -> RenderableType:
    """Draw commands to go on with; nothing where there are none."""
    if not commands:
        return Text("")
    lines = [Text(lead, style="dim"), *(Text(f"  {command}", style="cyan") for command in commands)]
    return Padding(Group(*lines), (1, 0), expand=False)


def clean(text: object) -> str:
    """Drop control characters, so that a document cannot steer the terminal."""
    return CONTROL.sub("", str(text))


def size(count: float) -> str:
    """Write bytes as people read them: "812 bytes", "4.1 MB"."""
    if count < 1000:
        return f"{count:.0f} bytes"
    for unit in ("kB", "MB", "GB"):
        count /= 1000
        if count < 999.5:
            return f"{count:.1f} {unit}"
    return f"{count / 1000:,.1f} TB"


def _message(message: str, outcome: str) -> list[RenderableType]:
    """Draw what a run says, where it says more than its outcome."""
    if not message or outcome in {"published", "unchanged"}:
        return []
    return [Text(clean(message), style=OUTCOMES.get(outcome, "default"))]


def _approval(message: str) -> str:
    """Find the command that approves what a run waits for: its message names it."""
    named = re.search(r"`(tidemark refresh [^`]+)`", message)
    return named[1] if named else "tidemark refresh --accept-deletions"


def _bars(seconds: Mapping[str, float]) -> RenderableType:
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


def _next(result: RunResult) -> list[str]:
    """Name the commands that make sense after a run."""
    if result.outcome == "needs-approval":
        return ["tidemark plan", _approval(result.message)]
    if result.outcome in {"refused", "failed"}:
        return ["tidemark quarantine list", f"tidemark show {result.run}"]
    commands = ['tidemark search "..."'] if result.release is not None else []
    if result.counts.get("quarantined"):
        commands.append("tidemark quarantine list")
    if result.outcome == "published" and (result.release or 0) > 1:
        commands += [f"tidemark diff {(result.release or 0) - 1} {result.release}", "tidemark rollback"]
    return commands
