"""Where chunks stand in the files that they came from, as far as these still say what the release holds."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from storage.errors import TidemarkError
from storage.sources import SourceConfig, open_source
from storage.sources.base import Place
from tasks.ingest.normalise import original_lines

if TYPE_CHECKING:
    from storage.reader import Hit

__all__ = ["Located", "Places", "traced"]

CACHED = 64  # texts that are kept: the same documents answer many queries


@dataclass(frozen=True)
class Located:
    """A hit and where its chunk stands.

    Attributes:
        hit: The hit.
        file: The file of its document; None where that cannot be told.
        line: The first line of the chunk in the file, as editors count; None where lines of the one are no lines of the
            other, or the file has been changed since.
        line_end: Its last line.
    """

    hit: Hit
    file: str | None = None
    line: int | None = None
    line_end: int | None = None

    @property
    def told(self) -> str | None:
        """File and line as editors take them, `notes/a.md:12`; None where no file is known."""
        return self.file if self.line is None else f"{self.file}:{self.line}"

    def to_dict(self) -> dict[str, Any]:
        """The hit as JSON-able values, and its place beside them."""
        return self.hit.to_dict() | {"file": self.file, "line": self.line, "line_end": self.line_end}


class Places:
    """Finds documents, and lines of them, in the files of the configured sources.

    A source that is not there any more, or that cannot be asked, finds nothing: no place is worth an error.

    Args:
        sources: The configured sources.
        base: The folder that relative paths start from.
    """

    def __init__(self, sources: Sequence[SourceConfig], base: Path) -> None:
        self._base = base
        self._configs = {each.name: each for each in sources}
        self._folders = {each.name for each in sources if each.kind == "folder"}
        self._known: dict[tuple[str, str], Place | None] = {}

    def place(self, source: str, document: str) -> Place | None:
        """Find a document; its file as a person here would name it. Of a table it takes a pass over the files.

        Args:
            source: Name of the source.
            document: Id of the document there.
        """
        if (source, document) not in self._known:
            if len(self._known) >= CACHED:
                self._known.pop(next(iter(self._known)))
            self._known[source, document] = self._found(source, document)
        return self._known[source, document]

    def lines(self, source: str, document: str, start: int, end: int, text: str) -> tuple[int, int] | None:
        """First and last line of a chunk in its file; None where lines of one are no lines of the other.

        Args:
            source: Name of the source.
            document: Id of the document there.
            start: First character of the chunk in the normalised document.
            end: Character after its last.
            text: Of the chunk. Where the file says something else there, it has been changed since.
        """
        place = self.place(source, document)
        if place is None or place.text is None:
            return None
        return original_lines(place.text, [(start, end, text)])[0]

    def located(self, hits: Sequence[Hit]) -> list[Located]:
        """Hits with their files and lines, where these can be told without a pass over a table."""
        return [self._located(hit) if hit.source in self._folders else Located(hit) for hit in hits]

    def _located(self, hit: Hit) -> Located:
        place = self.place(hit.source, hit.document)
        if place is None:
            return Located(hit)
        return Located(
            hit, place.file, *(self.lines(hit.source, hit.document, hit.start, hit.end, hit.text) or (None, None))
        )

    def _found(self, source: str, document: str) -> Place | None:
        config = self._configs.get(source)
        if config is None or "://" in str(getattr(config, "path", "")):  # a pass over what lies far away takes long
            return None
        try:
            opened = open_source(config, self._base)
            # Not every source knows, and one of a user's own need not.
            place = getattr(opened, "place", lambda _: None)(document)
        except (TidemarkError, OSError):
            return None
        return None if place is None else place._replace(file=self._named(place.file))

    def _named(self, file: str) -> str:
        """A path as somebody in this folder would write it; an URL stays as it is."""
        if "://" in file:
            return file
        whole = Path(os.path.normpath(self._base / file))
        here = Path.cwd()
        return str(whole.relative_to(here) if whole.is_relative_to(here) else whole)


def traced(places: Places, explained: Mapping[str, Any]) -> dict[str, Any]:
    """The place of an explained chunk: its document's file with line or row, and the lines of the chunk in its span.

    Args:
        places: Finds them.
        explained: What `storage.explain` told.
    """
    document, span = explained["document"], explained["span"]
    place = places.place(document["source"], document["id"])
    lines = places.lines(document["source"], document["id"], span["start"], span["end"], explained["text"])
    first, last = lines or (None, None)
    told = None if place is None else {"file": place.file, "line": place.line, "row": place.row}
    return {"place": told, "span": {**span, "line": first, "line_end": last}}
