"""Tags of a table, listed while other processes set and delete some."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import lance

__all__ = ["tag_versions", "tags_of"]

_LISTINGS = 100  # each is spoilt only by a tag that went while it lasted; a spoilt file must not hold a run for ever
_TAG_GONE = re.compile(r"[Nn]ot found: \S*/_refs/tags/")


def tags_of(table: lance.LanceDataset) -> set[str]:
    """Names of the tags of a table."""
    return set(tag_versions(table))


def tag_versions(table: lance.LanceDataset) -> dict[str, int]:
    """The tags of a table, each with the version that it names.

    Lance lists the tags and then reads each: one that another process deletes in between fails the whole call.
    """
    attempt = 0
    while True:
        attempt += 1
        try:
            return {name: int(tag["version"]) for name, tag in table.tags.list().items()}
        except (ValueError, OSError) as error:
            if attempt == _LISTINGS or not _TAG_GONE.search(str(error)):
                raise
