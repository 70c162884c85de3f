"""The line of a release: those before it that have its encoder."""

from __future__ import annotations

from storage.tables.releases import Release, Releases

__all__ = ["line_of"]


def line_of(releases: Releases, release: Release) -> list[Release]:
    """The releases from the one that brought the encoder of a release up to it, oldest first.

    A rollback stands for the release that it restores, and what was rolled back from is no part of the line.

    Args:
        releases: Of the store.
        release: One of them.
    """
    known = {each.seq: each for each in releases.all(brief=True)}

    def origin(each: Release) -> Release:
        while each.restored is not None:
            each = known[each.restored]
        return each

    line = [origin(release)]
    while (before := known.get(line[-1].seq - 1)) is not None and origin(before).space == line[-1].space:
        line.append(origin(before))
    return line[::-1]
