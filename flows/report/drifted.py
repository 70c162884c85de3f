"""Figures of drift, as the rows of the `drift` table tell them, each with its past."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from flows.report.facts import Drifted, Named
from flows.report.words import say
from storage.tables.columns import unpacked
from storage.tables.drift import Drift
from storage.tables.store import Store

__all__ = ["drifted"]

PAST = 30  # nights of a figure that are drawn
EXAMPLES = 12  # documents that one figure names
# What to do, where a figure brings no advice along.
ADVICE = {
    "data": "look at what arrived with `tidemark diff`, and ask whoever fills the source",
    "embeddings": "look at the documents that are marked on the map; if the change is to stay, `tidemark retrain`",
    "queries": "look at the questions that nothing answers: they may ask for documents that no source has",
    "encoder": "publish nothing: another library or driver changes the vectors; compare the libraries of both runs",
    "quality": "compare with `tidemark evaluate`; `tidemark rollback` if the release is worse",
}


def drifted(store: Store, now: datetime) -> tuple[Drifted, ...]:
    """The figures of the newest night that measured any, alarms first, then those that are out of their band.

    Args:
        store: The store.
        now: Later nights are left out.
    """
    rows = [row for row in Drift(store).all() if row["created"] <= now]
    if not rows:
        return ()
    past: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        past.setdefault(_key(row), []).append(row)
    newest = rows[-1]["run"]
    found = [_figure(row, past[_key(row)][-PAST:]) for row in rows if row["run"] == newest]
    return tuple(sorted(found, key=lambda each: (not each.alarm, not each.over, each.family, each.name)))


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """What the same figure of other nights has in common; another space has other vectors."""
    return row["family"], row["name"], row["source"], row["space"]


def _figure(row: Mapping[str, Any], past: Sequence[Mapping[str, Any]]) -> Drifted:
    detail = unpacked("the detail of a drift figure", row["detail"], {})
    advice = detail.get("advice") if isinstance(detail, dict) else None
    named = list(dict.fromkeys(_documents(detail, row["source"])))
    return Drifted(
        family=row["family"],
        name=say(row["name"]),
        source=None if row["source"] is None else say(row["source"]),
        value=row["value"],
        median=row["median"],
        limit=row["limit"],
        history=row["history"] or 0,
        over=bool(row["over"]),
        alarm=bool(row["alarm"]),
        advice=say(advice or ADVICE.get(row["family"], ""), 400),
        past=tuple((each["created"], each["value"], each["limit"]) for each in past),
        examples=tuple(named[:EXAMPLES]),
    )


def _documents(detail: Any, source: str | None) -> Iterator[Named]:
    """The documents that a detail names, however deep: by source and id, or in a list of ids of the figure's source."""
    if isinstance(detail, Mapping):
        if isinstance(detail.get("document"), str):
            yield Named(str(detail.get("source") or source or ""), detail["document"])
            return
        source = detail["source"] if isinstance(detail.get("source"), str) else source
        named = detail.get("documents")
        if source and isinstance(named, list):
            yield from (Named(source, each) for each in named if isinstance(each, str))
        detail = list(detail.values())
    if isinstance(detail, list):
        for inner in detail:
            yield from _documents(inner, source)
