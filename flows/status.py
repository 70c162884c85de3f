"""How an index is at this moment, read from its store: what a person asks first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from flows.config.schema import Config
from flows.tell import renewed
from storage.counts import indexed
from storage.redaction import redacted
from storage.tables.holds import Hold, Holds
from storage.tables.lease import holder
from storage.tables.quarantine import Quarantine
from storage.tables.releases import Release, Releases
from storage.tables.runs import Runs
from storage.tables.store import Store

__all__ = ["Status", "status"]

LOOKED_BACK = 50  # runs among which the last one that wrote is looked for
_RUN = ("run", "kind", "outcome", "message", "started", "finished", "release")
_READING = ("audit", "evaluate", "drift")


@dataclass(frozen=True, kw_only=True)
class Status:
    """How an index is.

    Attributes:
        store: Where it lies, without secrets.
        now: When it was looked at.
        release: What readers see; None before the first.
        restored: The release that it gives back, where it is a rollback.
        created: When it was published.
        encoder: Name of its encoder.
        counts: Its documents with chunks of their own, those chunks, and the duplicates apart.
        renewed: When a refresh last ended well, with news or without; None where none ever did.
        stale_hours: Hours after which that is too long ago.
        run: The last run that could have written: its id, kind, outcome, message, started, finished and release.
        lease: Who writes at this moment; None where nobody does.
        holds: Who keeps readers on the release, since when and why.
        refused: Documents in the quarantine.
        stale: Those of them whose last good version stays.
        checks: Checks that were made before it was published.
        failed: Those that did not hold.
        index: What share of the ten nearest its vector index finds, and when that was measured; None without an index.
        quality: Set to nDCG@10 and its interval, as it was published.
        upcoming: When the next refresh is due; None where no dashboard says so.
    """

    store: str
    now: datetime
    release: int | None = None
    restored: int | None = None
    created: datetime | None = None
    encoder: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    renewed: datetime | None = None
    stale_hours: float
    run: Mapping[str, Any] | None = None
    lease: str | None = None
    holds: tuple[Hold, ...] = ()
    refused: int = 0
    stale: int = 0
    checks: int = 0
    failed: int = 0
    index: str | None = None
    quality: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    upcoming: datetime | None = None

    @property
    def outdated(self) -> bool:
        """Whether no refresh has ended well for too long, or none ever did."""
        return self.renewed is None or self.now - self.renewed > timedelta(hours=self.stale_hours)

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able values, but for times."""
        age = None if self.renewed is None else round((self.now - self.renewed).total_seconds() / 3600, 3)
        return asdict(self) | {"outdated": self.outdated, "hours": age}


def status(store: Store, config: Config, now: datetime, upcoming: datetime | None = None) -> Status:
    """Look at a store; reads only.

    Args:
        store: The store.
        config: Its configuration.
        now: The time, with zone.
        upcoming: When the next refresh is due, where a dashboard knows.
    """
    rows = Runs(store).all(LOOKED_BACK, columns=_RUN)
    refused, stale = Quarantine(store).counted()
    release = Releases(store).current()
    return Status(
        store=redacted(store.uri),
        now=now,
        renewed=renewed(store),
        stale_hours=config.limits.stale_hours,
        run=next((row for row in rows if row["kind"] not in _READING), None),
        lease=holder(store),
        holds=tuple(Holds(store).standing()),
        refused=refused,
        stale=stale,
        upcoming=upcoming,
        **({} if release is None else _of_release(release)),
    )


def _of_release(release: Release) -> dict[str, Any]:
    """What the row of a release says."""
    counts, checks = release.counts, release.audit.get("checks") or []
    index = release.text.index
    quality = (release.audit.get("quality") or {}).get("sets") or {}
    told = {"documents": indexed(counts), "chunks": counts.get("chunks", 0), "duplicates": counts.get("duplicates", 0)}
    return {
        "release": release.seq,
        "restored": release.restored,
        "created": release.created,
        "encoder": release.text.encoder.name,
        "counts": told,
        "checks": len(checks),
        "failed": sum(not check["ok"] for check in checks),
        "index": None if index.recall is None else f"recall@10 {index.recall:.3f}, {index.measured}",
        "quality": {
            name: {"ndcg@10": found["ndcg@10"], "interval": found["interval"], "questions": found["questions"]}
            for name, found in quality.items()
            if "ndcg@10" in found
        },
    }
