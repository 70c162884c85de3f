"""Tags of a table, listed while other processes set and delete some."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from storage.tables.place import Place, manifest_names

if TYPE_CHECKING:
    import lance

__all__ = ["tag_versions", "tags_of", "unsound_tags"]

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


def unsound_tags(place: Place) -> list[str]:
    """The files of those tags of a table that cannot be read, or whose version is not there.

    A tag that names what is gone is worse than none: the next version of that number would pass for what it kept.
    """
    there = _manifests(place)
    wrong = []
    for name in place.within("_refs/tags"):
        # One that came or went while this looks is another run's, and sound.
        with suppress(FileNotFoundError):
            file = f"_refs/tags/{name}"
            if not _sound(place.read(file), there) and not _sound(place.read(file), _manifests(place)):
                wrong.append(file)
    return wrong


def _sound(content: bytes, there: set[str]) -> bool:
    try:
        tag = json.loads(content)
        version, branch = tag["version"], tag.get("branch")
    except (ValueError, KeyError, TypeError, AttributeError):
        return False
    names = manifest_names(version) if type(version) is int else ()
    return branch is None and any(name in there for name in names)


def _manifests(place: Place) -> set[str]:
    return set(place.within("_versions"))
