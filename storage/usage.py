"""What the kept releases take of the disk, as their manifests say it: nothing is listed, nothing is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from storage.errors import TableMissing
from storage.readable import files
from storage.tables.releases import Release
from storage.tables.store import Store

__all__ = ["Usage", "usage"]


@dataclass(frozen=True)
class Usage:
    """The bytes of one release.

    Attributes:
        release: Its number.
        shared: Bytes of files that an older kept release holds too.
        own: Bytes of files that came with this one.
    """

    release: int
    shared: int
    own: int


def usage(store: Store, releases: Sequence[Release]) -> list[Usage]:
    """Measure the tables of some releases; the folders of encoders are not counted.

    Args:
        store: The store.
        releases: Kept releases, newest first; one whose tables went meanwhile is left out.

    Returns:
        Oldest first.
    """
    seen: set[str] = set()
    found = []
    for release in reversed(releases):
        try:
            held = dict(_held(store, release))
        except TableMissing:  # a run let it go this moment
            continue
        own = sum(size for file, size in held.items() if file not in seen)
        found.append(Usage(release.seq, sum(held.values()) - own, own))
        seen |= held.keys()
    return found


def _held(store: Store, release: Release) -> Iterator[tuple[str, int]]:
    for name in release.tables:
        for file, size in files(store.open(name, release.at(name))):
            yield f"{name}/{file}", size
