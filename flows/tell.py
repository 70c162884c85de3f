"""Tell people at the end of a run what happened, each event once: what this run and those before it left to be told."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from storage.errors import faults
from storage.outcome import Outcome
from storage.tables.drift import Drift
from storage.tables.notices import Notices
from storage.tables.releases import Releases
from storage.tables.runs import Runs
from storage.tables.store import Store
from storage.volume import volume
from tasks.stage import in_flow_run
from tasks.watch.notify import Event, Notice, NotifyConfig, asked, drifted, ended, grown, outdated

if TYPE_CHECKING:
    from flows.config.schema import Config

__all__ = ["tell"]

logger = logging.getLogger(__name__)

RUNS = 20  # the newest, of which some may not have been told: they died, or nobody took the message
DAYS = timedelta(days=2)
REST = timedelta(minutes=1)  # a message this young may be on its way from another run
_COLUMNS = ("run", "kind", "outcome", "started", "release", "message", "config")


def tell(store: Store, config: Config, environ: Mapping[str, str] | None = None, now: datetime | None = None) -> int:
    """Send what is to be told; whatever fails costs a warning, and is sent by the next run.

    A message is noted before it is sent, and marked when it was. A kill in between sends it twice: that is better than
    not at all.

    Args:
        store: The store.
        config: The configuration of the run that ends.
        environ: Variables that hold the addresses; the process's own if None.
        now: The time, with zone.

    Returns:
        How many messages were sent.
    """
    if not config.notify:
        return 0
    environ, now = os.environ if environ is None else environ, now or datetime.now(UTC)
    try:
        fresh = set(_noted(store, config, now))
        notices = Notices(store)
        known = {each.target: each for each in config.notify}
        rows = [row for row in notices.pending(now) if row["target"] in known]
        mine = [row for row in rows if row["key"] in fresh or now - row["created"] > REST]
        sent = 0
        for row in mine:
            sent += _sent(notices, row, known[row["target"]], environ)
        return sent
    except faults() as error:  # the run itself is over and recorded
        logger.warning("what happened is told by the next run: %s", type(error).__name__)
        return 0


def _noted(store: Store, config: Config, now: datetime) -> Iterator[str]:
    """Note what was not noted before; gives the keys of the rows."""
    notices = Notices(store)
    for notice, targets in _happened(store, config, now):
        told = notice.to_dict() | {"url": notice.url or _page()}
        event = told.pop("event")
        for each in targets:
            sent = now if _told_by_server(notice.event, each) else None
            key = notices.put(each.target, event, notice.subject, now, sent=sent, **told)
            if key is not None and sent is None:
                yield key


def _happened(store: Store, config: Config, now: datetime) -> Iterator[tuple[Notice, Sequence[NotifyConfig]]]:
    """What there is to tell of the newest runs and of the store, and who wants to know."""
    rows = [row for row in Runs(store).all(RUNS, columns=_COLUMNS) if now - row["started"] < DAYS]
    figures = Drift(store).last(RUNS) if any(Event.DRIFT in each.on for each in config.notify) else []
    for row in reversed(rows):
        for notice in (ended(row), drifted(row, figures)):
            if notice is not None:
                yield notice, asked(row, notice)
    release = Releases(store).newest()
    for notice in (
        outdated(renewed(store), now, config.limits.stale_hours, release),
        grown(_size(store, config), config.limits.max_store_gb, now, release),
    ):
        if notice is not None:
            yield notice, [each for each in config.notify if notice.event in each.on]


def renewed(store: Store) -> datetime | None:
    """When a refresh last ended well; None where none ever did."""
    well = {Outcome.PUBLISHED.value, Outcome.UNCHANGED.value}
    found = Runs(store).all(10 * RUNS, columns=("kind", "finished"), outcomes=well)
    return next((row["finished"] for row in found if row["kind"] == "refresh"), None)


def _size(store: Store, config: Config) -> int:
    """Bytes of the store; 0 where nobody asks or nobody can tell."""
    return 0 if config.limits.max_store_gb is None else volume(store) or 0


def _sent(notices: Notices, row: dict[str, Any], target: NotifyConfig, environ: Mapping[str, str]) -> bool:
    """Send one message and mark it; tells whether it was taken."""
    from storage.post import Undelivered, post  # the standard library's clients take as long as a small command

    address = environ.get(target.url_env, "").strip()
    try:
        if not address:
            raise Undelivered("the variable is not set")
        post(target.kind, address, {name: row[name] for name in ("event", "run", "release", "message", "url")})
    except Undelivered as error:
        logger.warning("nobody was told by %s ($%s) of %r: %s", target.kind, target.url_env, row["event"], error)
        notices.tried([row | {"attempts": row["attempts"] + 1}])
        return False
    notices.tried([row | {"attempts": row["attempts"] + 1, "sent": datetime.now(UTC)}])
    return True


def _page() -> str:
    """Where to look: the page of the flow run on the dashboard, where there is one."""
    if not in_flow_run():
        return ""
    from flows.dashboard.watching import page

    return page()


def _told_by_server(event: Event, target: NotifyConfig) -> bool:
    """Whether an automation of the Prefect server tells this, as it tells what no run lives to see."""
    if event not in {Event.DIED, Event.STALE} or not in_flow_run():
        return False
    from flows.dashboard.watching import watches

    return watches(event, target)
