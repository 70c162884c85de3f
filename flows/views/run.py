"""Draws the result of a plan, a refresh, a rollback and an audit for a terminal of any width."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from flows.views.counts import apart
from flows.views.lines import Hung, below
from flows.views.parts import COLOURS, bars, clean, grid, heading, named, size, steps, table
from flows.views.progress import duration
from storage.counts import indexed
from storage.outcome import Outcome
from tasks.ingest.passed import passed_words

if TYPE_CHECKING:
    from flows.maintain import MaintainResult
    from flows.plan import Forecast
    from flows.result import RunResult
    from flows.rollback import RollbackResult
    from tasks.learn.foresee import Retraining
    from tasks.release.checks import AuditResult

__all__ = ["CAUSES", "approval", "audit_view", "maintain_view", "plan_view", "refresh_view", "rollback_view"]

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
    "precision": "vectors are kept in another precision: nothing to embed",
    "bridge": "vectors were mapped from another encoder's: every chunk is embedded",
    "rebuild": "everything anew, as asked",
    "moved-chunks": "chunks that move with their document",
}
CHUNKS = ("moved-chunks",)
AS_THEY_WERE = ("rules", "encoder", "chunker", "precision", "bridge", "rebuild", "stale")
# What a message begins with that the lines below it say by themselves.
PLAIN = re.compile(
    r"^(?:release \d+ is published|nothing changed: 0 chunks embedded|nothing to do: a refresh would embed 0 chunks"
    r"|a refresh would embed [\d,]+ chunks and re-use [\d,]+)(?:[;:] |$)"
)
NAMED = 20  # documents that a plan names unasked
SIGNS = {"+": "green", "~": "yellow", ">": "cyan", "-": "red", "!": "red", "=": "dim"}
HOLD = 'tidemark hold "why"'
DOCUMENTS = ("added", "changed", "moved", "unchanged")


def plan_view(found: Forecast) -> RenderableType:
    """Draw what a refresh would do."""
    base = "the first release" if found.release is None else f"on top of release {found.release}"
    causes = table("documents", "why", right=(0,))
    # A moved document is new at its new place; it is told once, as moved. So that the rows add up, what is written
    # anew although it is as it was is not told once more as unchanged.
    why = found.causes | {"new": found.causes.get("new", 0) - found.causes.get("moved", 0)}
    for name in (*CAUSES, *(name for name in why if name not in CAUSES)):
        if why.get(name, 0) > 0 and name not in CHUNKS:
            causes.add_row(f"{why[name]:,}", CAUSES.get(name, name))
    same = max(0, found.counts.get("unchanged", 0) - sum(why.get(name, 0) for name in AS_THEY_WERE))
    causes.add_row(Text(f"{same:,}", style="dim"), Text("unchanged", style="dim"))
    counts = found.counts
    costs = [
        ("chunks to embed", f"{counts.get('embedded', 0):,} of {counts.get('chunks', 0):,}"),
        (f"chunks {_again(found.release is None).split()[0]}", f"{counts.get('reused', 0):,}"),
        ("tokens to embed", f"{found.tokens:,}"),
        ("estimated time", duration(found.estimated_seconds)),
        ("bytes to write", size(found.bytes)),
    ]
    would = {Outcome.PUBLISHED: "would publish", Outcome.UNCHANGED: "nothing to do"}.get(
        found.outcome, f"would end {found.outcome}"
    )
    next_steps = {
        Outcome.PUBLISHED: ["tidemark refresh"],
        Outcome.NEEDS_APPROVAL: [approval(found.message)],
        Outcome.REFUSED: ["tidemark quarantine list"],
        Outcome.HELD: ["tidemark unhold", "tidemark refresh"],
    }
    lead = f"its work is kept in {found.out}; to go on:" if found.out else "nothing was written; to go on:"
    return Group(
        heading("plan", base, would, COLOURS[found.outcome]),
        *_message(found.message, found.outcome),
        causes,
        *_changes(found),
        grid(costs),
        *_passed(found.passed_over),
        *([] if found.retrain is None else [grid(_retraining(found.retrain))]),
        steps(_with_plan(next_steps.get(found.outcome, []), found.out), lead),
    )


def _with_plan(commands: list[str], file: str | None) -> list[str]:
    """The commands to go on with, which take a plan over that was kept."""
    taking = f"tidemark refresh --plan {shlex.quote(file)}" if file else "tidemark refresh"
    return [command.replace("tidemark refresh", taking, 1) for command in commands]


def _changes(found: Forecast) -> list[RenderableType]:
    """The documents that change, by name, the first of them where not all are asked for."""
    if found.changes.is_empty():
        return []
    # A first build names every document: only those that are shown become rows.
    shown = found.changes if found.every else found.changes.head(NAMED)
    lines = [
        Hung(
            Text(f"  {each['change']} ", style=SIGNS[each["change"]]),
            Text.assemble(
                named(f"{each['source']}/{each['document']}"),
                (clean("".join(f"  {each[name]}" for name in ("rule", "reason") if each[name])), "dim"),
            ),
        )
        for each in shown.iter_rows(named=True)
    ]
    more = found.changes.height - shown.height
    rest = [Text(f"    and {more:,} more: tidemark plan -v", style="dim")] if more else []
    return [below(Group(*lines, *rest))]


def _retraining(found: Retraining) -> list[tuple[str, ...]]:
    """What a retraining would cost, beside what a refresh does."""
    told = f"{found.minutes:g} min of training, then {found.tokens:,} tokens to embed: about "
    rows: list[tuple[str, ...]] = [
        ("a retrain", f"{told}{duration(found.estimated_seconds)}, {size(found.bytes)} to write")
    ]
    if found.pairs is not None:
        rows.append(("its pairs", ", ".join(f"{count:,} {part}" for part, count in found.pairs.items())))
    if found.generator is not None:
        asked = found.generator
        cost = f"{asked.calls:,} calls of {clean(asked.model)}, about {asked.tokens:,} tokens"
        rows.append(("its questions", f"{cost}, price {asked.price:,.2f}" if asked.price else cost))
    return rows


def refresh_view(result: RunResult) -> RenderableType:
    """Draw how a run ended: counts, seconds a stage as bars, what to do next."""
    counts = result.counts
    first = result.release == 1 and result.outcome is Outcome.PUBLISHED
    told = "no release yet" if result.release is None else f"release {result.release}"
    parts: list[RenderableType] = [
        heading(told, f"run {result.run}", result.outcome, COLOURS[result.outcome]),
        *_message(result.message, result.outcome),
    ]
    if counts:
        rows = [
            ("documents", f"{indexed(counts):,}", _documents(counts)),
            ("chunks", f"{counts.get('chunks', 0):,}", _chunks(counts, first=first)),
        ]
        parts.append(grid(rows))
    parts += _passed(result.passed_over)
    if result.seconds:
        parts.append(bars(result.seconds))
    parts.append(steps(_next(result), "next:"))
    return Group(*parts)


def _documents(counts: Mapping[str, int]) -> str:
    """What became of the documents: of those that are indexed, then of the others."""
    told = ", ".join(f"{counts[name]:,} {name}" for name in DOCUMENTS if counts.get(name))
    beside = f"apart: {apart(counts)}" if apart(counts) else ""
    deleted = f"{counts['deleted']:,} deleted" if counts.get("deleted") else ""
    flagged = f"{counts['flagged']:,} flagged: see the data docs" if counts.get("flagged") else ""
    redacted = f"{counts['redacted']:,} redacted" if counts.get("redacted") else ""
    return "; ".join(part for part in (told, beside, deleted, flagged, redacted) if part)


def _chunks(counts: Mapping[str, int], *, first: bool) -> str:
    return f"{counts.get('embedded', 0):,} embedded, {counts.get('reused', 0):,} {_again(first)}"


def _again(first: bool) -> str:
    """What is said of chunks that need no embedding: where nothing exists yet they are equal to others that do."""
    return "shared with equal ones" if first else "re-used"


def rollback_view(result: RollbackResult) -> RenderableType:
    """Draw a rollback."""
    outcome = result.outcome
    return Group(
        heading(f"release {result.release}", f"restores release {result.restored}", outcome, COLOURS[outcome]),
        Text(f"held: {clean(result.hold)}; `tidemark unhold` ends it" if result.hold else _back(result)),
        steps(
            [
                f"tidemark diff {result.restored} {result.release - 1}",
                f"tidemark rollback --to {result.release - 1}",
                *([] if result.hold else [HOLD]),
            ],
            "nothing was deleted; to see what was taken back, to undo it, or to keep readers here:",
        ),
    )


def _back(result: RollbackResult) -> str:
    """When which changes come back, and how to keep readers where they are."""
    when = "next refresh" if result.upcoming is None else f"refresh of {result.upcoming:%Y-%m-%d %H:%M} UTC"
    count = result.changes
    changes = "this change" if count == 1 else f"these {count:,} changes" if count else "what was taken back"
    return f"the {when} publishes {changes} again, unless somebody holds the release"


def maintain_view(result: MaintainResult) -> RenderableType:
    """Draw what a maintenance freed."""
    sizes = {"before": result.before, "after": result.after}  # None where nobody can tell: a store in a bucket
    rows = [(name, size(given)) for name, given in sizes.items() if given is not None]
    return Group(
        heading("maintain", f"run {result.run}", "done", COLOURS[result.outcome]), Text(result.message), grid(rows)
    )


def audit_view(result: AuditResult) -> RenderableType:
    """Draw the checks of an audit, the failed ones with how to repair them."""
    rows = table("", "check", "detail")
    for check in sorted(result.checks, key=lambda check: check.ok):
        mark = Text("ok", style="green") if check.ok else Text("FAILED", style="bold red")
        rows.add_row(mark, clean(check.name), clean(check.detail))
    failed = sum(not check.ok for check in result.checks)
    told = f"{failed} of {len(result.checks)} checks failed" if failed else f"{len(result.checks)} checks hold"
    return Group(heading("audit", told, "whole" if result.ok else "damaged", COLOURS[result.outcome]), rows)


def _message(message: str, outcome: Outcome) -> list[RenderableType]:
    """Draw what a run says, where it says more than its outcome: alarms, stale documents, what would come back."""
    well = outcome in {Outcome.PUBLISHED, Outcome.UNCHANGED}
    said = PLAIN.sub("", message) if well else message
    return [Text(clean(said), style="yellow" if well else COLOURS[outcome])] if said else []


def _passed(passed_over: Mapping[str, Mapping[str, int]]) -> list[RenderableType]:
    """Draw what the sources left out; nothing where they left out nothing."""
    rows = [(f"passed over in {name}", passed_words(counts)) for name, counts in passed_over.items()]
    return [grid(rows)] if rows else []


def approval(message: str) -> str:
    """Find the command that approves what a run waits for: its message names it."""
    named = re.search(r"`(tidemark refresh [^`]+)`", message)
    return named[1] if named else "tidemark refresh --accept-deletions"


def _next(result: RunResult) -> list[str]:
    """Name the commands that make sense after a run."""
    if result.outcome is Outcome.NEEDS_APPROVAL:
        return ["tidemark plan", approval(result.message)]
    if result.outcome is Outcome.HELD:
        return ["tidemark releases", "tidemark unhold"]
    if result.outcome in {Outcome.REFUSED, Outcome.FAILED}:
        return ["tidemark quarantine list", f"tidemark show {result.run}"]
    commands = ['tidemark search "..."'] if result.release is not None else []
    if result.counts.get("quarantined"):
        commands.append("tidemark quarantine list")
    if result.outcome is Outcome.PUBLISHED and (result.release or 0) > 1:
        commands += [f"tidemark diff {(result.release or 0) - 1} {result.release}", "tidemark rollback"]
    return commands
