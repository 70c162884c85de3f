"""From rows of the `drift` table to the nights that figures are judged against, and back."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from storage.tables.columns import unpacked
from storage.tables.drift import Drift
from storage.tables.store import Store
from tasks.watch.config import DriftConfig
from tasks.watch.figures import Band, Family, Figure, Judged
from tasks.watch.judge import PastNight

__all__ = ["history", "is_night", "nights_of", "rows_of"]


def history(store: Store, config: DriftConfig) -> list[PastNight]:
    """The nights that tonight is judged against, oldest first.

    Nights that lack a figure do not count for it, so more of them are read than a figure needs.

    Args:
        store: The store.
        config: How many nights.
    """
    return nights_of(Drift(store).last(2 * config.nights + config.cool_down))


def is_night(store: Store, now: datetime, config: DriftConfig) -> bool:
    """Whether a run that changed nothing counts as a night: one by hand, an hour after another, does not.

    Args:
        store: The store.
        now: When the run began.
        config: How long after the last one.
    """
    last = Drift(store).newest()
    return last is None or now - last >= timedelta(hours=config.hours)


def nights_of(rows: Iterable[Mapping[str, Any]]) -> list[PastNight]:
    """Rows of the `drift` table as nights.

    Args:
        rows: Oldest first; the rows of a run lie together.
    """
    runs: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        runs.setdefault(str(row["run"]), []).append(row)
    for mine in runs.values():  # a table gives its rows in any order; who looks twice sees them in one
        mine.sort(key=lambda row: (row["family"], row["source"] or "", row["name"], row["space"] or ""))
    return [
        PastNight(run, str(mine[0]["maker"]), mine[0]["release"], mine[0]["created"], tuple(map(_judged, mine)))
        for run, mine in runs.items()
    ]


def rows_of(
    judged: Sequence[Judged], *, run: str, maker: str, release: int | None, now: datetime
) -> list[dict[str, Any]]:
    """Figures as rows of the `drift` table.

    Args:
        judged: The figures.
        run: The run that measured them.
        maker: The run that made the release that they are about.
        release: That release; None where it has no number yet.
        now: When.
    """
    night = {"run": run, "maker": maker, "release": release, "created": now}
    return [night | _row(each) for each in judged]


def _row(judged: Judged) -> dict[str, Any]:
    figure, band = judged.figure, judged.band
    drawn = {} if band is None else {name: getattr(band, name) for name in ("median", "mad", "highest", "limit")}
    return {
        "family": str(figure.family),
        "name": figure.name,
        "source": figure.source,
        "space": figure.space,
        "value": figure.value,
        "error": figure.error,
        "history": 0 if band is None else band.nights,
        **drawn,
        "over": judged.over,
        "alarm": judged.alarm,
        "detail": json.dumps(figure.detail, ensure_ascii=False, sort_keys=True) if figure.detail else None,
    }


def _judged(row: Mapping[str, Any]) -> Judged:
    figure = Figure(
        Family(row["family"]),
        row["name"],
        row["value"],
        row["source"],
        unpacked("the detail of a drift figure", row["detail"], {}),
        row["error"] or 0.0,
        row["space"],
    )
    drawn = [row[name] for name in ("median", "mad", "highest", "limit")]
    band = None if None in drawn else Band(row["history"], *drawn)
    return Judged(figure, band, bool(row["over"]), bool(row["alarm"]), strength=math.nan)
