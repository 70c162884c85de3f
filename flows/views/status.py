"""Draws how an index is, on one screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType

from flows.views.look import age
from flows.views.parts import COLOURS, grid, heading, steps
from storage.counts import plural

if TYPE_CHECKING:
    from flows.status import Status

__all__ = ["status_view"]


def status_view(found: Status) -> RenderableType:
    """Draw it: the release, and everything that may ask for a person, each on its line."""
    named = "no release yet" if found.release is None else f"release {found.release}"
    verdict, style = ("held", "yellow") if found.holds else ("fresh", "green")
    if found.outdated:
        verdict, style = "outdated", "red"
    return Group(heading(named, found.store, verdict, style), grid(_rows(found)), steps(_steps(found), "next:"))


def _rows(found: Status) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    if found.release is not None:
        rows.append(("published", _published(found)))
    last = "never" if found.renewed is None else age(found.renewed, found.now)
    rows.append(("last good night", f"{last}, and may be {found.stale_hours:g} hours ago (limits.stale_hours)"))
    if found.run is not None:
        run = found.run
        rows.append(("last run", f"{run['kind']} {run['outcome']}, {age(run['started'], found.now)}: {run['message']}"))
    rows.append(("writing now", found.lease or "nobody"))
    rows += [("held", each.told) for each in found.holds]
    stays = f", an old version of {found.stale:,} of them stays" if found.stale else ""
    rows.append(("refused", f"{plural(found.refused, 'document')}{stays}"))
    if found.release is not None:
        rows.append(("checks", f"{found.checks} made, {found.failed} failed"))
        rows += [] if found.index is None else [("index", found.index)]
        rows += _quality(found)
    due = "none that a dashboard knows of" if found.upcoming is None else f"{found.upcoming:%Y-%m-%d %H:%M} UTC"
    return [*rows, ("next refresh", due)]


def _published(found: Status) -> str:
    back = "" if found.restored is None else f", gives release {found.restored} back"
    counts = (
        f"{plural(found.counts['documents'], 'document')}, {plural(found.counts['chunks'], 'chunk')} by {found.encoder}"
    )
    return f"{'' if found.created is None else age(found.created, found.now)}{back}; {counts}"


def _quality(found: Status) -> list[tuple[str, ...]]:
    if not found.quality:
        return [("quality", "not measured when it was published: name judged questions under [[evaluation]]")]
    return [
        (
            "quality",
            f"nDCG@10 {each['ndcg@10']:.3f}, {each['interval'][0]:.3f} to {each['interval'][1]:.3f}, on "
            f"{each['questions']:,} questions of {name}",
        )
        for name, each in found.quality.items()
    ]


def _steps(found: Status) -> list[str]:
    if found.release is None:
        return ["tidemark plan", "tidemark refresh"]
    if found.run is not None and COLOURS.get(found.run["outcome"]) != "green":
        return [f"tidemark show {found.run['run']}", *(["tidemark unhold"] if found.holds else [])]
    return ["tidemark refresh"] if found.outdated else []
