"""The tags of a page, held to a depth that costs a parser linear time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from storage.css import declarations, hides

__all__ = ["BLOCKS", "bounded", "closed"]

BLOCKS = frozenset(
    """address article aside blockquote body caption center dd details dialog div dl dt fieldset figcaption figure
    footer form h1 h2 h3 h4 h5 h6 header hgroup html li main menu nav ol p pre section summary table tbody tfoot
    thead tr ul""".split()  # noqa: SIM905 - a list of fifty quoted words reads worse
)
# The rules of HTML 5 go up the open elements at many tags, and open again at each paragraph what formats text and was
# not closed: time and memory are the product of tags and depth. Browsers stop at 512, for the same reason.
DEEPEST = 512
MOST_FORMATS = 64
MOST_ATTRIBUTES = 512  # of one tag, each of which is compared with all before it
LONG_TAG = 2 * MOST_ATTRIBUTES  # characters below which a tag cannot have that many

_FORMATS = frozenset("a b big code em font i nobr s small strike strong tt u".split())  # noqa: SIM905
_VOID = frozenset(
    "area base basefont bgsound br col embed frame hr img input keygen link meta param source track wbr".split()  # noqa: SIM905
)
# Elements that another of their kind closes, so that they never lie in each other.
_CLOSED_BY_NEXT = frozenset(
    "body colgroup dd dt head html li optgroup option p tbody td tfoot th thead tr".split()  # noqa: SIM905
)
_BOUNDARIES = frozenset(["applet", "caption", "marquee", "object", "table", "template"])  # of the scope of an end tag
_SPECIAL = (
    BLOCKS
    | _BOUNDARIES
    | frozenset("button frameset iframe listing noscript search select style title textarea xmp".split())  # noqa: SIM905
)
_RAW = frozenset("iframe noembed noframes script style textarea title xmp".split())  # noqa: SIM905
_KEPT = frozenset(["hidden", "style", "class", "id"])  # attributes that may hide what they stand at

# All quantifiers that could give characters back are possessive: no input makes these patterns go back.
_TAG = re.compile(
    r"<(?P<end>/?)(?P<name>[a-zA-Z][^\s/>]*+)(?P<attributes>(?:[^>=]++|=\s*+(?:\"[^\"]*+(?:\"|\Z)|'[^']*+(?:'|\Z))?+)*+)>"
)
_COMMENT_END = re.compile(r"--!?>")
_ATTRIBUTE = re.compile(r"([^\s/>=]++)(?:\s*+=\s*+(?:\"([^\"]*+)\"|'([^']*+)'|([^\s>\"']*+)))?+")


class _Tag(NamedTuple):
    """One tag: where it stands in the page, and what it says."""

    start: int
    stop: int
    name: str
    is_end: bool
    attributes: str


def bounded(page: str) -> str:
    """Leave out what makes a page deeper than a browser shows, where there is any; other pages are as they were.

    Beyond the limits a tag is dropped, and its text stays: a block is a line break then. An element whose own
    attributes hide it is kept at any depth; one that a sheet hides is not known here, and its text shows.

    Args:
        page: Decoded HTML.
    """
    if not _exceeds(page):
        return page
    kept: list[str] = []
    depths, at = _Depths(), 0
    for tag in _tags(page):
        kept += (page[at : tag.start], depths.kept(tag))
        at = tag.stop
    return "".join([*kept, page[at:]])


def closed(page: str) -> str:
    """Spell the empty elements of XHTML (`<script src="x"/>`) as HTML 5 does, which knows no such end."""
    kept: list[str] = []
    at = 0
    for tag in _tags(page, raw=False):
        if tag.attributes.endswith("/") and not tag.is_end and tag.name not in _VOID:
            kept += (page[at : tag.stop - 2], f"></{tag.name}>")
            at = tag.stop
    return "".join([*kept, page[at:]])


def _exceeds(page: str) -> bool:
    depths = _Depths()
    for tag in _tags(page):
        if len(tag.attributes) > LONG_TAG and _attribute_count(tag.attributes) > MOST_ATTRIBUTES:
            return True
        depths.take(tag, emitted=True)
        if depths.too_deep:
            return True
    return False


def _attribute_count(attributes: str) -> int:
    return sum(1 for _ in _ATTRIBUTE.finditer(attributes))


def _tags(page: str, *, raw: bool = True) -> Iterator[_Tag]:
    """Yield the tags of a page in their order; comments, declarations and the insides of scripts hold none.

    Args:
        page: The page.
        raw: Whether scripts and their like are text up to their end tag, as in HTML, unlike XHTML.
    """
    at = page.find("<")
    while at >= 0:
        found = _TAG.match(page, at)
        if found is not None:
            name = found["name"].lower()
            yield _Tag(at, found.end(), name, bool(found["end"]), found["attributes"])
            at = found.end()
            if raw and name in _RAW and not found["end"]:
                # What ends a raw text is its own end tag alone; without one the rest of the page is that text.
                end = re.compile(rf"</{re.escape(name)}(?=[\s/>])", re.IGNORECASE).search(page, at)
                at = end.start() if end else -1
        else:
            at = _beyond(page, at)
        at = page.find("<", at) if at >= 0 else -1


def _beyond(page: str, at: int) -> int:
    """Where to look on behind a `<` that begins no whole tag; -1 where the page ends in it."""
    if page.startswith("<!--", at):
        end = _COMMENT_END.search(page, at + 2)
        return end.end() if end else -1
    following = page[at + 1 : at + 3]
    if following[:1] in ("!", "?") or (following[:1] == "/" and len(following) > 1 and not following[1].isalpha()):
        end_at = page.find(">", at)
        return end_at + 1 if end_at >= 0 else -1
    # A tag that never ends takes the rest of the page with it; any other `<` is a character.
    return -1 if following.lstrip("/")[:1].isalpha() else at + 1


class _Open(NamedTuple):
    """An element that is open: `emitted` tells whether its start tag was kept."""

    name: str
    emitted: bool
    hides: bool


class _Depths:
    """The open elements of a page as the rules of HTML 5 leave them, or more: each tag costs constant time."""

    def __init__(self) -> None:
        self._open: list[_Open] = []
        self._places: dict[str, list[int]] = {}
        self._special: list[int] = []
        self._boundaries: list[int] = []
        self._formats: dict[str, list[bool]] = {}
        self._emitted = 0  # open elements that were kept
        self._formatting = 0
        self._hiding = 0

    @property
    def too_deep(self) -> bool:
        """Whether the open elements are more than a parser is given."""
        return self._emitted > DEEPEST or self._formatting > MOST_FORMATS

    def kept(self, tag: _Tag) -> str:
        """What to write in place of a tag."""
        line = "<br>" if tag.name in BLOCKS else ""
        if tag.is_end:
            known = tag.name in _FORMATS or (tag.name not in _CLOSED_BY_NEXT and tag.name not in _VOID)
            emitted = self._close(tag.name)
            return f"</{tag.name}>" if emitted or not known else line
        shown, hides = _attributes(tag.attributes)
        emitted = self._fits(tag.name) or (hides and not self._hiding)
        self.take(tag, emitted=emitted, hides=hides and emitted)
        return f"<{tag.name}{shown}>" if emitted else line

    def take(self, tag: _Tag, *, emitted: bool, hides: bool = False) -> None:
        """Follow a tag."""
        if tag.is_end:
            self._close(tag.name)
        elif tag.name in _FORMATS:
            self._formats.setdefault(tag.name, []).append(emitted)
            self._formatting += emitted
        elif tag.name not in _VOID and tag.name not in _CLOSED_BY_NEXT:
            self._push(_Open(tag.name, emitted, hides))

    def _fits(self, name: str) -> bool:
        if name in _FORMATS:
            return self._formatting < MOST_FORMATS
        return name in _VOID or name in _CLOSED_BY_NEXT or self._emitted < DEEPEST

    def _push(self, entry: _Open) -> None:
        at = len(self._open)
        self._open.append(entry)
        self._places.setdefault(entry.name, []).append(at)
        if entry.name in _SPECIAL:
            self._special.append(at)
        if entry.name in _BOUNDARIES:
            self._boundaries.append(at)
        self._emitted += entry.emitted
        self._hiding += entry.hides

    def _close(self, name: str) -> bool:
        """Close what an end tag closes; tells whether its start tag was kept."""
        if name in _FORMATS:
            opened = self._formats.get(name)
            emitted = opened.pop() if opened else False
            self._formatting -= emitted
            return emitted
        places = self._places.get(name)
        if not places:
            return False
        # An end tag looks no further up than a table, one of no block no further than the nearest block.
        limits = self._boundaries if name in _SPECIAL else self._special
        if name not in _BOUNDARIES and limits and limits[-1] > places[-1]:
            return False
        emitted, at = self._open[places[-1]].emitted, places[-1]
        while len(self._open) > at:
            self._pop()
        return emitted

    def _pop(self) -> None:
        entry = self._open.pop()
        self._places[entry.name].pop()
        if entry.name in _SPECIAL:
            self._special.pop()
        if entry.name in _BOUNDARIES:
            self._boundaries.pop()
        self._emitted -= entry.emitted
        self._hiding -= entry.hides


def _attributes(text: str) -> tuple[str, bool]:
    """The attributes that may hide an element, spelled anew, and whether it says of itself that it is hidden."""
    if not text:
        return "", False
    kept: dict[str, str] = {}
    for found in _ATTRIBUTE.finditer(text):
        name = found[1].lower()
        if name in _KEPT and name not in kept:
            kept[name] = found[2] or found[3] or found[4] or ""
    shown = "".join(' {}="{}"'.format(name, value.replace('"', "&quot;")) for name, value in kept.items())
    return shown, "hidden" in kept or ("style" in kept and hides(declarations(kept["style"])))
