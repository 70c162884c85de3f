"""What a report tells: plain facts, gathered before anything of it is drawn."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from storage.tables.releases import Release
from storage.usage import Usage
from tasks.watch.plane import Points

__all__ = ["Alteration", "Drifted", "Facts", "Named", "Night", "Refused", "Source"]


@dataclass(frozen=True)
class Named:
    """A document by name.

    Attributes:
        source: Its source.
        document: Its id there.
        note: Its title, the place that it had before, or why it was refused.
    """

    source: str
    document: str
    note: str = ""


@dataclass(frozen=True)
class Alteration:
    """One kind of difference between two releases: how many documents, and the first of them."""

    kind: str
    count: int
    first: tuple[Named, ...]


@dataclass(frozen=True)
class Refused:
    """What one rule keeps out now.

    Attributes:
        rule: The rule.
        count: Documents.
        fresh: Of them, those that the last night refused for the first time.
        stale: Of them, those whose last good version stays in the index.
        first: The first of them, the fresh ones before the others.
    """

    rule: str
    count: int
    fresh: int
    stale: int
    first: tuple[Named, ...]


@dataclass(frozen=True)
class Source:
    """A source, as the release holds it.

    Attributes:
        name: Its name.
        documents: Of it in the release.
        before: Of it in the release before; None where that one is not kept.
        chunks: Of them.
        duplicates: Documents that share the chunks of another.
        refused: Documents in quarantine now.
    """

    name: str
    documents: int
    before: int | None
    chunks: int
    duplicates: int
    refused: int


@dataclass(frozen=True)
class Night:
    """One run that should have brought the index up to date."""

    run: str
    kind: str
    started: datetime
    finished: datetime | None
    outcome: str
    message: str
    release: int | None
    counts: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Drifted:
    """A figure of drift with its past.

    Attributes:
        family: What it is about.
        name: Its name there.
        source: The source that it is of; None where it is of the whole index.
        value: What it was in the last night.
        median: Of its history; None while that is too short.
        limit: Above it the figure is unusual.
        history: Nights that it is judged by.
        over: It is out of its band.
        alarm: It was, often enough to tell somebody.
        advice: What to do about it.
        past: Time, value and limit of each night, oldest first, this one last.
        examples: Documents that it names.
    """

    family: str
    name: str
    source: str | None
    value: float
    median: float | None
    limit: float | None
    history: int
    over: bool
    alarm: bool
    advice: str
    past: tuple[tuple[datetime, float, float | None], ...]
    examples: tuple[Named, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Facts:
    """All that a report tells. What is not there is None or empty, and the report says why.

    Attributes:
        now: When it was gathered.
        store: Address of the store, without secrets.
        release: What readers see; None before the first release.
        pinned: Whether its tables are kept.
        night: The newest run that changed the index, or should have.
        others: Other runs since that one began, newest first.
        nights: The newest refreshes, oldest first.
        previous: Number of the release before.
        changes: What the release has that the one before has not; None where they cannot be compared.
        settings: What else differs: setting, before, now.
        refused: By rule, the largest first.
        docs: Address of the data docs, where there are some.
        waived: Documents in the index that a rule would refuse, and why somebody let them in.
        sources: By source.
        timeline: Releases, newest first, as `storage.timeline` tells them.
        checks: The audit that the release was published with.
        recall: Recall@10 of its index against exact search; None without an index.
        quality: Rows of the table of evaluations, the newest of each set, mode and slice.
        measured: The release that they are of.
        rerankers: The rows of those that a retraining tried last, as `tasks.learn.rerankers.Tried` has them.
        drift: The figures of the last night.
        usage: Bytes of the kept releases, oldest first.
        points: The map.
        holds: What people hold back: since, until, why and who, newest first.
        upcoming: When the next run is due, where a dashboard knows of one.
    """

    now: datetime
    store: str
    release: Release | None = None
    pinned: bool = False
    night: Night | None = None
    others: tuple[Night, ...] = ()
    nights: tuple[Night, ...] = ()
    previous: int | None = None
    changes: tuple[Alteration, ...] | None = None
    settings: tuple[tuple[str, str, str], ...] = ()
    refused: tuple[Refused, ...] = ()
    docs: str | None = None
    waived: tuple[Named, ...] = ()
    sources: tuple[Source, ...] = ()
    timeline: tuple[dict[str, Any], ...] = ()
    checks: tuple[dict[str, Any], ...] = ()
    recall: float | None = None
    quality: tuple[dict[str, Any], ...] = ()
    measured: int | None = None
    rerankers: tuple[dict[str, Any], ...] = ()
    drift: tuple[Drifted, ...] = ()
    usage: tuple[Usage, ...] = ()
    points: Points | None = None
    holds: tuple[dict[str, Any], ...] = ()
    upcoming: datetime | None = None

    @property
    def alarms(self) -> tuple[Drifted, ...]:
        """The figures that somebody should look at."""
        return tuple(each for each in self.drift if each.alarm)

    @property
    def refusals(self) -> int:
        """Documents in quarantine."""
        return sum(each.count for each in self.refused)

    @property
    def fresh(self) -> int:
        """Documents that the last night refused for the first time."""
        return sum(each.fresh for each in self.refused)
