"""Publish: pin the tables, append the one row that makes them the release, then tidy up."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta

from storage.errors import faults
from storage.registry import Registry
from storage.tables.holds import Holds
from storage.tables.lease import Lease
from storage.tables.models import Models
from storage.tables.pairs import forget
from storage.tables.releases import Draft, Release, Releases
from storage.tables.roles import chunks_table
from storage.tables.store import Store
from storage.tables.vectors import vectors_table
from tasks.context import Context
from tasks.release.config import ReleasesConfig
from tasks.release.proof import digested
from tasks.stage import stage
from tasks.verdict import Held
from tasks.watch.plane import fix_plane

__all__ = ["ReleasesConfig", "clean_up", "let_go", "publish"]

logger = logging.getLogger(__name__)


@stage
def publish(context: Context, lease: Lease, draft: Draft) -> Release:
    """Make the audited versions the next release.

    Raises:
        LeaseHeld: Another run took over meanwhile.
        Held: Somebody holds the store.
        ReleaseMoved: Another release was published meanwhile.
    """

    def guard() -> None:
        lease.check()
        _require_free(context.store, draft.message)

    guard()  # before tables are pinned in vain
    base = 0 if context.base is None else context.base.seq
    found = digested(context.store, draft.tables, None if context.rebuild else context.base)
    return Releases(context.store).publish(base, replace(draft, digests=found), guard)


def _require_free(store: Store, built: str) -> None:
    """Make sure that nobody holds the store.

    Args:
        store: The store.
        built: What would be published, in one line.

    Raises:
        Held: Somebody does.
    """
    held = Holds(store).standing()
    if held:
        told = "; ".join(each.told for each in held)
        raise Held(
            f"{built}: built and checked, not published, for the store is held {told}. Its vectors are kept; "
            "`tidemark unhold` lets the next run publish"
        )


def clean_up(store: Store, config: ReleasesConfig, space: str) -> None:
    """After a publish: drop staged vectors, let old releases go, free what nothing needs, fix the map of a new space.

    Runs only under the lease. Whatever fails here is tried again the next night: the release stands.
    """
    fix_plane(store)
    try:
        if not _bridged(Releases(store).current(), space):
            store.drop(vectors_table(space))
        let_go(store, config)
    except faults() as error:  # the release is published, so this is no failure
        logger.warning("clean-up was put off to the next run: %s", error)


def let_go(store: Store, config: ReleasesConfig, *, torn: bool = False) -> int:
    """Let old releases go, and free what no kept one needs; its caller holds the lease.

    Args:
        store: The store.
        config: How long the past is kept.
        torn: Free what killed runs left half written in the tables of releases too.

    Returns:
        How many releases can be returned to no more.
    """
    older = timedelta(days=config.cleanup_after_days)
    releases = Releases(store)
    gone = releases.expire(config.keep)
    kept = releases.retained()
    tables = {name for release in kept for name in release.tables}
    _drop_spaces(store, kept, releases.tables(), older)
    forget(store, {release.tables["documents"] for release in kept if "documents" in release.tables}, older)
    for name in sorted(tables):  # the others, which every night writes to, are kept small every night
        store.vacuum(name, older, torn=torn)
    return len(gone)


def _bridged(release: Release | None, space: str) -> bool:
    """Whether a release answers from mapped vectors of a space: the vectors of its encoder still have to come."""
    return release is not None and release.space == space and release.text.bridge is not None


def _drop_spaces(store: Store, kept: list[Release], published: set[str], older: timedelta) -> None:
    """Drop tables and encoders of spaces that no release can return to.

    Args:
        store: The store.
        kept: The retained releases.
        published: Tables of all releases there ever were.
        older: How long a run that never published its space may be resumed.
    """
    tables = {name for release in kept for name in release.tables}
    # What a re-embedding will not embed again once it goes on.
    tables |= {vectors_table(role.space) for role in kept[0].roles.values() if role.bridge} if kept else set()
    let_go, held = published - tables, bool(Holds(store).standing())
    left = {name for name in store.tables() if name.startswith((chunks_table(""), vectors_table("")))}
    for name in left - tables:
        # Vectors may be staged right now by a run that goes on beside this one, also of a space that was let go. What
        # runs embed while somebody holds the store is published by the first run after that, however late.
        if name in let_go or (store.idle(name) > older and not held):
            store.drop(name)
            left.remove(name)
    registry = Registry(store)
    used = {role.space for release in kept for role in release.roles.values()}
    used |= Models(store).waiting(used)
    for space in registry.spaces():
        own = (chunks_table(space), vectors_table(space))
        if space not in used and not any(name.startswith(own) for name in left):
            registry.drop(space)
