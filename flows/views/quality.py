"""Draws an evaluation for a terminal: modes with intervals, slices, and what the questions could have shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.bar import Bar
from rich.console import Group, RenderableType
from rich.text import Text

from flows.views.parts import COLOURS, clean, heading, steps, table
from models.metrics import METRICS
from storage.counts import plural

if TYPE_CHECKING:
    from tasks.learn.compare import Answers
    from tasks.learn.results import Evaluation, ModeResult, SetResult

__all__ = ["answers_view", "evaluation_view"]

BAR = 28
SHOWN = 15  # questions whose answers changed; --json names all
LEADING = ("recall@10", "mrr@10", "map")  # metrics that are shown first where there is no room for all
FIRST = 3  # documents of an answer
_FITTED = {
    "release": "the weight that the release searches with",
    "dev": "dev questions chose the weight, the release has none",
    "two-fold": "each half of the questions chose it for the other, the release has none",
}


def evaluation_view(found: Evaluation) -> RenderableType:
    """Draw how well a release answers."""
    counts = found.counts
    told = [plural(counts["sets"], "set"), plural(counts["questions"], "question")]
    told += [f"{counts['unanswerable']:,} unanswerable"] if counts["unanswerable"] else []
    parts: list[RenderableType] = [
        heading(f"release {found.release}", ", ".join(told), "measured", COLOURS[found.outcome])
    ]
    for each in found.sets:
        parts += [Text(f"\n{clean(each.name)}", style="bold"), _modes(each)]
        if each.slices:
            parts.append(_slices(each))
        parts += [Text(line, style="dim") for line in _notes(each)]
    return Group(*parts, steps([], ""))


def answers_view(a: int, b: int, found: Answers) -> RenderableType:
    """Draw which questions two releases answer otherwise and, where that is judged, which of them is better.

    Args:
        a: Number of the first release.
        b: Number of the second.
        found: Their answers.
    """
    parts: list[RenderableType] = [
        Text(f"\n{len(found.changed):,} of {found.asked:,} questions are answered otherwise")
    ]
    if found.changed:
        rows = table("question", f"release {a}", f"release {b}", "of 10 kept", right=(3,), optional=("of 10 kept",))
        for each in found.changed[:SHOWN]:
            before, after = (", ".join(name["document"] for name in side[:FIRST]) for side in (each.a, each.b))
            rows.add_row(clean(each.query), clean(before), clean(after), str(each.kept))
        parts.append(rows)
    if len(found.changed) > SHOWN:
        parts.append(Text(f"and {len(found.changed) - SHOWN:,} more (--json lists them all)", style="dim"))
    if found.ndcg is not None and found.difference is not None:
        change = found.difference
        told = {"a": f"release {a} is better", "b": f"release {b} is better"}.get(
            found.better or "", "no difference shown"
        )
        figures = f"nDCG@10 {found.ndcg[0]:.3f} and {found.ndcg[1]:.3f}, {change.difference:+.3f} "
        seen = f"[{change.low:+.3f}, {change.high:+.3f}]; so many questions show {change.detectable:.3f}"
        parts.append(Text.assemble("\n", (told, "bold"), "  ", (figures + seen, "dim")))
    return Group(*parts)


def _modes(found: SetResult) -> RenderableType:
    others = METRICS[1:]
    leading = sorted(others, key=lambda name: LEADING.index(name) if name in LEADING else len(LEADING))
    figures = tuple(range(1, 2 + len(METRICS)))
    rows = table("mode", "nDCG@10", "interval", *others, right=figures, optional=("interval", *leading))
    shown = dict(found.modes)
    if found.exact is not None and "dense" in shown and found.exact is not shown["dense"]:
        shown = {"dense": shown.pop("dense"), "dense, exact": found.exact, **shown}
    best = max(shown.values(), key=lambda each: each.metrics["ndcg@10"])
    for mode, result in shown.items():
        rows.add_row(mode, *_cells(result), style="bold" if result is best and len(shown) > 1 else "")
    return rows


def _cells(result: ModeResult) -> list[str]:
    first, *others = (f"{result.metrics[name]:.3f}" for name in METRICS)
    return [first, f"{result.low:.3f} to {result.high:.3f}", *others]


def _slices(found: SetResult) -> RenderableType:
    columns = (f"slice ({found.sliced})", "questions", "nDCG@10", "interval", "")
    rows = table(*columns, right=(1, 2, 3), optional=("interval", "questions", ""))
    for part in found.slices:
        style = "dim" if part.by == "noise" else ""
        interval = f"{part.low:.3f} to {part.high:.3f}"
        bar = Bar(size=1, begin=0, end=part.ndcg, width=BAR, color="cyan")
        # Questions are disturbed for the encoder's sake: what it makes of them is measured without the words.
        by = "noise, dense" if part.by == "noise" and found.sliced != "dense" else part.by
        name = clean(f"{by}: {part.value}")
        rows.add_row(name, f"{len(part.figures):,}", f"{part.ndcg:.3f}", interval, bar, style=style)
    return rows


def _notes(found: SetResult) -> list[str]:
    lines = [
        f"{plural(found.questions, 'question')} over {plural(found.documents, 'document')}: a difference of "
        f"{found.detectable:.3f} to another encoder is seen in four of five cases; a smaller one may go unseen"
    ]
    if found.weight is not None:
        lines.append(f"hybrid takes {found.weight:.2f} of the words: {_FITTED[found.fitted or 'two-fold']}")
    if "text" not in found.modes and found.exact is not None and set(found.modes) == {"dense"}:
        lines.append("by words nothing was measured: only dense was asked for, or the release has no full-text index")
    if found.missing:
        lines.append(f"not in the release: {plural(found.missing, 'judged document')}, which no search can find")
    if found.unanswerable:
        lines.append(f"left out: {plural(found.unanswerable, 'question')} without an answer among the judgements")
    return lines
