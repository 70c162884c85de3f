"""Audit a published release on demand, down to the sources where asked."""

from __future__ import annotations

from typing import Annotated

from flows.config.schema import Config
from flows.context import opened, rebased
from flows.run import Run, recorded
from flows.table import Option
from storage.errors import faults
from storage.outcome import Outcome
from storage.tables.releases import Release, Releases
from storage.tables.store import Store
from tasks.progress import Progress
from tasks.release.audit import BACK, Snapshot, examine, examine_deeply
from tasks.release.checks import AuditResult, Check
from tasks.release.proof import examine_records, examine_release
from tasks.release.sources import examine_sources

__all__ = ["audit"]


def audit(
    config: Config,
    *,
    deep: bool = False,
    release: Annotated[int | None, Option(metavar="N")] = None,
    trigger: str = "manual",
    console: Progress | None = None,
) -> AuditResult:
    """Prove that a release is whole: counts, ids, vectors, index, recall.

    It judges every vector and measures recall, also where a night took them over from the release before.

    Args:
        config: The configuration.
        deep: Read every file of the release, and hash every document of the sources too.
        release: Another than the current one.
        trigger: Who started it, for the record.
        console: Where it says how far it is.

    Raises:
        InputError: There is no such release, or a later version of the program made the store.
        LeaseHeld: The store is of an older format, and another run migrates it right now.
    """
    store = Store(config.store.uri)
    frame = recorded(store, "audit", config=config, trigger=trigger, progress=console, lease=False, needed=False)
    with frame as run:
        records = examine_records(store)
        found = Releases(store).get(release) if records.ok else _nearest(store, release)
        if found is None:
            run.conclude(Outcome.FAILED, records.detail)
            return AuditResult((records,))
        run.base = found.seq
        snapshot = Snapshot(store, found.tables, found.roles, found.counts, repair=BACK)
        with run.clock.stage("audit"):
            result = examine(snapshot, config.index)
            checks = [*result.checks, records, *examine_release(store, found, deep=deep)]
        if deep and result.ok:
            checks += _deeper(config, run, snapshot, current=release is None)
        audited = AuditResult(tuple(checks), result.recall)
        run.conclude(audited.outcome, audited.message, found.seq)
    return audited


def _nearest(store: Store, release: int | None) -> Release | None:
    """The release, or None where what cannot be read in the store hides it."""
    try:
        return Releases(store).get(release)
    except faults():
        return None


def _deeper(config: Config, run: Run, snapshot: Snapshot, *, current: bool) -> list[Check]:
    """Hash what was taken on trust; the sources say only what the current release should hold."""
    with run.clock.stage("hash"):
        checks = list(examine_deeply(snapshot).checks)
    if current and all(check.ok for check in checks):  # a ledger that is damaged says nothing of the sources
        with opened(config, f"plan-{run.id}", run.clock.progress) as context, run.clock.stage("sources"):
            checks.append(examine_sources(rebased(context)))
    return checks
