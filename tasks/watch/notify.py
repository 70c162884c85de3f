"""Who is told of what: the tables `[[notify]]`, and the events that the records of a store tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from storage.outcome import Outcome
from storage.redaction import redacted
from storage.tables.runs import BROKEN_OFF
from tasks.watch.config import Event, NotifyConfig

__all__ = ["Event", "Notice", "NotifyConfig", "drifted", "ended", "grown", "outdated"]


TOLD: Mapping[Outcome, Event] = {
    Outcome.FAILED: Event.FAILED,
    Outcome.REFUSED: Event.REFUSED,
    Outcome.NEEDS_APPROVAL: Event.APPROVAL,
    Outcome.HELD: Event.HELD,
}


@dataclass(frozen=True)
class Notice:
    """One message.

    Attributes:
        event: What happened.
        subject: To whom or what, so that one event is told once however often it is seen.
        run: The run that it is about; None where it is about none.
        release: The release that readers see.
        message: One line for people, without secrets.
        url: Where to look, empty where nowhere.
    """

    event: Event
    subject: str
    run: str | None
    release: int | None
    message: str
    url: str = ""

    def to_dict(self) -> dict[str, Any]:
        """What is posted."""
        told = {"event": str(self.event), "run": self.run, "release": self.release}
        return told | {"message": redacted(self.message), "url": redacted(self.url)}


def ended(run: Mapping[str, Any]) -> Notice | None:
    """What the end of a run tells, if it is news.

    Args:
        run: A row of the `runs` table.
    """
    event = TOLD.get(run["outcome"])
    if run["outcome"] == Outcome.INTERRUPTED and BROKEN_OFF in (run["message"] or ""):
        event = Event.DIED  # what a person stops is no news
    if event is None or (run["kind"] == "drift" and event is Event.FAILED):  # the alarms themselves are told
        return None
    return Notice(event, run["run"], run["run"], run["release"], f"{run['kind']}: {run['message']}")


def drifted(run: Mapping[str, Any], figures: Iterable[Mapping[str, Any]]) -> Notice | None:
    """What the alarms of a run tell, all in one message.

    Args:
        run: A row of the `runs` table.
        figures: Rows of the `drift` table.
    """
    alarms = [each for each in figures if each["run"] == run["run"] and each["alarm"]]
    if not alarms:
        return None
    named = "; ".join(sorted(map(_alarm, alarms)))
    return Notice(Event.DRIFT, run["run"], run["run"], run["release"], f"{named}: `tidemark drift` tells what to do")


def outdated(last: datetime | None, now: datetime, hours: float, release: int | None) -> Notice | None:
    """That no refresh has ended well for too long; told once for each that did.

    Args:
        last: When one did; None before the first.
        now: The time, with zone.
        hours: That may pass.
        release: The release that readers see.
    """
    if last is None or now - last <= timedelta(hours=hours):
        return None
    gone = (now - last).total_seconds() / 3600
    message = f"no refresh has ended well for {gone:.0f} hours (limits.stale_hours = {hours:g}): `tidemark runs`"
    return Notice(Event.STALE, f"{last:%Y%m%d%H%M%S}", None, release, message)


def grown(size: int, limit: float | None, now: datetime, release: int | None) -> Notice | None:
    """That the store is over its bound; told again each week.

    Args:
        size: Bytes of the store.
        limit: Gigabytes that it may have.
        now: The time.
        release: The release that readers see.
    """
    if limit is None or size <= limit * 1e9:
        return None
    message = f"the store has {size / 1e9:,.2f} GB (limits.max_store_gb = {limit:g}): `tidemark maintain` frees space"
    return Notice(Event.STORAGE, f"{now:%G-W%V}", None, release, message)


def asked(run: Mapping[str, Any], notice: Notice) -> Sequence[NotifyConfig]:
    """The ways to tell people that a run was configured with, of those that want to know.

    A way that was configured later is not told of what happened before.

    Args:
        run: A row of the `runs` table, with its configuration.
        notice: What happened.
    """
    given = (run["config"] or {}).get("notify") or ()
    return [each for each in map(NotifyConfig.model_validate, given) if notice.event in each.on]


def _alarm(row: Mapping[str, Any]) -> str:
    of = row["source"] or row["family"]
    limit = "" if row["limit"] is None else f" (limit {row['limit']:.4g})"
    return f"drift: {row['name']} of {of} is {row['value']:.4g}{limit}"
