"""Write what was measured as rows that are bound to the release and to the run."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from storage.tables.evaluations import Evaluations
from storage.tables.releases import Release
from tasks.context import Context
from tasks.learn.results import EXACT, Evaluation, ModeResult, SetResult

if TYPE_CHECKING:
    from tasks.learn.challenge import Trial

__all__ = ["record_trial", "rows"]


def rows(
    evaluation: Evaluation, *, run: str, maker: str, space: str, now: datetime, release: int | None
) -> Iterator[dict[str, Any]]:
    """Yield the rows of the table of evaluations.

    Args:
        evaluation: What was measured.
        run: The run that measured it.
        maker: The run that made the release.
        space: Space of the release.
        now: When it was measured.
        release: Number of the release; None where it was refused.
    """
    bound = {"run": run, "maker": maker, "release": release, "space": space, "created": now}
    for found in evaluation.sets:
        about = bound | {
            "set": found.name,
            "split": found.split,
            "role": found.role,
            "fingerprint": found.fingerprint,
            "documents": found.documents,
            "missing": found.missing,
        }
        for mode, result in _modes(found).items():
            yield about | _whole(found, result) | {"mode": mode, "weight": found.weight if mode == "hybrid" else None}
        for part in found.slices:
            mode = "dense" if part.by == "noise" else found.sliced
            figures = {"ndcg_10": part.ndcg, "low": part.low, "high": part.high, "questions": len(part.figures)}
            yield about | figures | {"mode": mode, "by": part.by, "value": part.value}


def record_trial(context: Context, found: Trial, base: Release, space: str, *, goes_on: bool) -> None:
    """Write what a trial measured of both sides, whatever becomes of the challenger.

    Args:
        context: The run.
        found: The trial.
        base: The champion's release.
        space: Space of the challenger.
        goes_on: Whether it is published if it passes, as no person is asked before.
    """
    release = base.seq + 1 if goes_on and found.promotion.passes else None
    both = [
        *rows(found.champion, run=context.run, maker=base.run, space=base.space, now=context.now, release=base.seq),
        *rows(found.challenger, run=context.run, maker=context.run, space=space, now=context.now, release=release),
    ]
    Evaluations(context.store).add(both)


def _modes(found: SetResult) -> dict[str, ModeResult]:
    return found.modes if found.exact is None else found.modes | {EXACT: found.exact}


def _whole(found: SetResult, result: ModeResult) -> dict[str, Any]:
    metrics = {name.replace("@", "_"): value for name, value in result.metrics.items()}
    told = {"low": result.low, "high": result.high, "questions": found.questions, "detectable": found.detectable}
    return metrics | told | {"asked": list(found.asked), "figures": result.figures.tolist()}
