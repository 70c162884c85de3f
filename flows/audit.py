"""Audit a published release on demand, down to the sources where asked."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl

from flows.config.schema import Config
from flows.context import opened, rebased
from flows.views.progress import Progress, Silent
from storage.tables.format import upgrade
from storage.tables.releases import Release, Releases
from storage.tables.runs import Runs, new_run
from storage.tables.store import Store
from tasks.context import Context
from tasks.ingest.read import identified
from tasks.ingest.scan import scan
from tasks.release.audit import BACK, AuditResult, Check, Snapshot, examine, examine_deeply

__all__ = ["audit"]


def audit(
    config: Config, *, deep: bool = False, release: int | None = None, console: Progress | None = None
) -> AuditResult:
    """Prove that a release is whole.

    Args:
        config: The configuration.
        deep: Hash every text, every file of the encoder and every document of the sources too.
        release: Number of the release; the current one if None.
        console: Where it says how far it is.

    Raises:
        InputError: There is no such release, or a later version of the program made the store.
        LeaseHeld: The store is of an older format, and another run migrates it right now.
    """
    progress = console or Silent()
    store = Store(config.store.uri)
    run, started = new_run(), datetime.now(UTC)
    upgrade(store, run)
    found = Releases(store).get(release)
    progress.stage("audit")
    snapshot = _subject(store, found)
    result = examine(snapshot, config.index)
    checks = [*result.checks, _pinned(store, found)]
    if deep and result.ok:
        progress.stage("hash")
        checks += examine_deeply(snapshot).checks
        if release is None:
            with opened(config, f"plan-{run}", progress) as context:
                progress.stage("sources")
                checks.append(_sources(rebased(context)))
    audited = AuditResult(tuple(checks), result.recall)
    failed = "; ".join(f"{check.name}: {check.detail}" for check in audited.failed)
    outcome, message = "published" if audited.ok else "refused", failed or f"{len(checks)} checks hold"
    Runs(store).record(run, "audit", outcome, started, message=message, base=found.seq, release=found.seq)
    return audited


def _subject(store: Store, release: Release) -> Snapshot:
    return Snapshot(store, release.tables, release.roles, release.counts, repair=BACK)


def _pinned(store: Store, release: Release) -> Check:
    kept = {found.seq for found in Releases(store).retained()}
    ok = release.seq in kept
    detail = f"tag {release.tag} keeps its {len(release.tables)} tables from clean-up"
    if not ok:
        detail = f"tag {release.tag} is gone: clean-up may remove its files; publish it again with `tidemark refresh`"
    return Check("release.pinned", ok, detail)


def _sources(context: Context) -> Check:
    """Read every document and compare its hash: catches an edit that left size, times and inode as they were."""
    ledger = context.ledger().select("key", "content_hash", "revision")
    listed = scan(context).listed
    stale = 0
    for source in context.sources:
        mine = listed.filter((pl.col("source") == source.name) & pl.col("problem").is_null())
        for part in source.read(mine["id"].unique(maintain_order=True)):
            keyed = identified(part).join(mine.select("id", "key"), on="id", how="inner")
            both = keyed.join(ledger, on=["key", "revision"], how="inner", suffix="_held")
            stale += both.filter(pl.col("content_hash") != pl.col("content_hash_held")).height
    detail = "every document that claims to be unchanged is"
    if stale:
        detail = f"{stale} documents changed without a new revision; touch them and run `tidemark refresh`"
    return Check("deep.sources", stale == 0, detail)
