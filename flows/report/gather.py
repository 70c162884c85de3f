"""Gather what a report tells, from the store alone and without writing to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flows.context import docs_folder
from flows.report.changes import altered, settings, sources
from flows.report.drifted import drifted
from flows.report.facts import Facts, Night
from flows.report.refusals import refusals, waived
from storage.diff import between
from storage.errors import TableMissing
from storage.hashing import document_key
from storage.pinned import Pinned
from storage.redaction import redacted
from storage.tables.evaluations import Evaluations
from storage.tables.format import check
from storage.tables.holds import Holds
from storage.tables.quarantine import Quarantine
from storage.tables.releases import Release, Releases
from storage.tables.runs import Runs
from storage.tables.store import Store
from storage.tables.waivers import Waivers
from storage.timeline import timeline
from storage.usage import usage
from tasks.curate.validation.suite import load_suite
from tasks.watch.plane import on_the_map

if TYPE_CHECKING:
    from flows.config.schema import Config

__all__ = ["gather"]

NIGHTS = 30  # refreshes that are drawn
RUNS = 400  # runs among which they are looked for
OTHERS = 8
RETRAININGS = 5  # that are asked, newest first, which re-rankers they tried
LOOKED = {"audit", "evaluate", "drift"}  # runs that look at a release and change none
RELEASES = 40  # of the time line


def gather(
    config: Config, release: int | None = None, *, now: datetime | None = None, upcoming: datetime | None = None
) -> Facts:
    """Gather what a report of a release tells.

    Args:
        config: The configuration; its store is read.
        release: Number of the release, told as the morning after it; the current one, told as of now, if None.
        now: The time of the report.
        upcoming: When the next run is due, where a dashboard knows of one.

    Raises:
        InputError: There is no such release, or a later version of Tidemark made the store.
    """
    store = Store(config.store.uri)
    check(store)
    now = now or datetime.now(UTC)
    releases = Releases(store)
    current = releases.current()
    shown = current if release is None else releases.get(release)
    lines = timeline(releases)
    if shown is not None and release is not None:
        now = _until(lines, shown.seq, now)
        upcoming = None
    lines = [line for line in lines if line["created"] <= now]
    runs = [night for night in _runs(store) if night.started <= now]
    about: dict[str, Any] = {"now": now, "store": redacted(store.uri), "release": shown, "upcoming": upcoming}
    about |= _of_runs(runs) | {"timeline": tuple(lines[:RELEASES]), "rerankers": _rerankers(store, runs)}
    since = about["night"].started if about["night"] else None
    held = Quarantine(store).told()
    figures = drifted(store, now)
    holds = tuple(hold.to_dict() for hold in Holds(store).all() if hold.since <= now)
    rules = {rule.name: rule.identity for rule in load_suite(config.validation).rules}
    about["waived"] = waived(Waivers(store).all(), rules, now)
    about |= {"refused": refusals(held, since), "drift": figures, "holds": holds}
    page = docs_folder(config) / "index.html"
    if release is None and page.is_file():  # there are those of the last night alone
        about["docs"] = page.resolve().as_uri()
    if shown is not None:
        about |= _of_release(store, shown) | {"usage": tuple(usage(store, _kept(releases, now)))}
        with suppress(TableMissing):  # the tables of an old release may be gone
            about |= _of_tables(store, shown, held, figures, releases)
    return Facts(**about)


def _until(lines: Sequence[Mapping[str, Any]], seq: int, now: datetime) -> datetime:
    """The moment up to which a release was what readers saw."""
    after = [line["created"] for line in lines if line["release"] == seq + 1]
    return after[0] if after else now


def _runs(store: Store) -> list[Night]:
    columns = [field.name for field in fields(Night)]
    rows = Runs(store).all(RUNS, columns=columns)
    return [Night(**row | {name: row[name] or {} for name in ("counts", "seconds")}) for row in rows]


def _of_runs(runs: Sequence[Night]) -> dict[str, Any]:
    """The run that decides what the morning is like, what ran beside it, and the nights before."""
    nights = [run for run in runs if run.kind == "refresh"]
    deciding = next((run for run in runs if run.kind not in LOOKED), None)
    # A retraining that was refused by day changes nothing: the night before it still tells how the index is.
    changing = next((run for run in runs if run.kind == "refresh" or run.outcome == "published"), deciding)
    others = [run for run in runs if changing is not None and run.started >= changing.started and run != changing]
    return {"night": changing, "others": tuple(others[:OTHERS]), "nights": tuple(reversed(nights[:NIGHTS]))}


def _rerankers(store: Store, runs: Sequence[Night]) -> tuple[dict[str, Any], ...]:
    """What became of the re-rankers that a retraining tried last."""
    for run in [each.run for each in runs if each.kind == "retrain"][:RETRAININGS]:
        row = Runs(store).find(run) or {}
        tried = (row.get("data") or {}).get("rerankers")
        if tried:
            return tuple(tried)
    return ()


def _kept(releases: Releases, now: datetime) -> list[Release]:
    return [release for release in releases.retained() if release.created <= now]


def _of_release(store: Store, release: Release) -> dict[str, Any]:
    """What the row of a release, and the figures that were measured of it, say."""
    checks = tuple(release.audit.get("checks") or ())
    measured, quality = _quality(store, release)
    return {"checks": checks, "recall": release.text.index.recall, "quality": quality, "measured": measured}


def _of_tables(store: Store, release: Release, held: Any, figures: Sequence[Any], releases: Releases) -> dict[str, Any]:
    """What the tables of a release, and those of the one before, say."""
    after = Pinned.of(store, release)
    before = _before(store, release, releases)
    told: dict[str, Any] = {"pinned": True, "previous": release.seq - 1 if release.seq > 1 else None}
    told |= {"sources": sources(after, before, held)}
    new: list[str] = []
    if before is not None:
        difference = between(before, after)
        told |= {"changes": altered(difference, before, after), "settings": settings(difference)}
        named = [*difference.added, *difference.changed]
        new = [document_key(row["source"], row["document"]) for row in named]
    out = [each for figure in figures if figure.over for each in figure.examples]
    return told | {"points": on_the_map(after, new, [document_key(each.source, each.document) for each in out])}


def _before(store: Store, release: Release, releases: Releases) -> Pinned | None:
    """The tables of the release that readers saw before; None where they are not kept."""
    if release.seq == 1:
        return None
    with suppress(TableMissing):
        return Pinned.of(store, releases.get(release.seq - 1))
    return None


def _quality(store: Store, release: Release) -> tuple[int | None, tuple[dict[str, Any], ...]]:
    """The newest test figures of a release, or of the newest one before it that was measured.

    Returns:
        Number of the release that they are of, and its rows of the table of evaluations.
    """
    rows = [row for row in Evaluations(store).all() if row["split"] == "test" and row["release"] is not None]
    own = [seq for seq in (release.seq, release.restored) if seq is not None]
    known = {row["release"] for row in rows if row["release"] <= release.seq}
    of = next((seq for seq in own if seq in known), max(known, default=None))
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:  # newest first
        if row["release"] == of:
            found.setdefault((row["set"], row["mode"], row["by"], row["value"]), row)
    order = sorted(found.values(), key=lambda row: (row["set"] or "", row["by"] or "", row["mode"] or ""))
    return of, tuple(order)
