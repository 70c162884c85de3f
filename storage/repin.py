"""Tags that releases lost are set again, where what they kept from clean-up is still there."""

from __future__ import annotations

import logging

from storage.digests import prove
from storage.errors import Unreachable, faults, words
from storage.readable import lost
from storage.tables.releases import Release, Releases
from storage.tables.store import Store
from storage.tables.tags import tag_versions

__all__ = ["repinned"]

logger = logging.getLogger(__name__)


def repinned(store: Store, keep: int) -> list[str]:
    """Set the tags again that the newest releases lost: without them readers find nothing, and clean-up frees files.

    What was let go is older than those. A release that an older format published names no digests, so that nobody can
    tell whether a version of its number is the one that it was made of: it is left alone.

    Args:
        store: The store; its caller holds the lease.
        keep: Distinct states that stay, as `releases.keep` says.

    Returns:
        What was done, a sentence a release.
    """
    done = []
    for release in Releases(store).standing(keep):
        try:
            told = _repinned(store, release)
        except Unreachable:
            raise
        except faults() as error:  # what else is wrong with it is the audit's to tell
            logger.warning("the tags of release %s are left as they are: %s", release.seq, words(error)[:200])
            continue
        if told:
            logger.warning("%s", told)
            done.append(told)
    return done


def _repinned(store: Store, release: Release) -> str | None:
    if release.intact is False:
        return None
    lacking = {}
    for name, version in release.tables.items():
        table = store.find(name)
        if table is None:
            return None
        tagged = tag_versions(table).get(release.tag)
        if tagged != version:
            if not _whole(store, release, name):
                return None
            lacking[name] = tagged
    for name, tagged in lacking.items():
        tags, version = store.open(name, release.tables[name]).tags, release.tables[name]
        tags.create(release.tag, version) if tagged is None else tags.update(release.tag, version)
    return f"the tag of release {release.seq} was set again for {', '.join(sorted(lacking))}" if lacking else None


def _whole(store: Store, release: Release, name: str) -> bool:
    """Whether the version is the one that the release was made of, and its files are there."""
    recorded, version = release.digests.get(name, {}), release.tables[name]
    manifest = {path: digest for path, digest in recorded.items() if path.startswith("_versions/")}
    if not manifest or prove(store, name, version, manifest).faults:
        return False
    return next(lost(store, name, store.open(name, version)), None) is None
