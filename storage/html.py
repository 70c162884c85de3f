"""The visible text of HTML; imports little, for the processes that do nothing else start with it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import BinaryIO, NamedTuple

import orjson
from selectolax.lexbor import LexborHTMLParser, LexborNode, SelectolaxError

from storage.css import Look, Sheet
from storage.encoding import html_text
from storage.tags import BLOCKS, bounded, closed

__all__ = ["Read", "read", "serve"]

_BREAKS = {"br": "\n", "hr": "\n", "td": " ", "th": " "}
_SPACES = re.compile(r"\s+")
_UNSEEN = frozenset(["script", "style", "template", "noscript", "head", "svg", "iframe", "object", "noframes"])
_MEDIA = frozenset(["", "all", "screen"])
# What browsers give elements by themselves, whatever is declared around them.
_BUTTON = {"color": "buttontext", "background-color": "buttonface"}
_OWN = {"mark": {"color": "black", "background-color": "yellow"}}
_OWN |= {"button": _BUTTON, "select": _BUTTON, "textarea": _BUTTON}
_TEXT = "-text"  # what the parser calls a text


class Read(NamedTuple):
    """What a reader of a page sees, the title as it stands there, and how many characters its styles hide."""

    text: str
    title: str | None
    hidden: int = 0


def read(raw: bytes) -> Read:
    """Find the visible text of a page by the rules of HTML 5, as a browser shows it without any script.

    Raises:
        ValueError: The parser knows no way to go on.
    """
    page = html_text(raw)
    if page.lstrip()[:5] == "<?xml":
        page = closed(page)
    # Hostile pages alone are changed by it; lexbor's time would grow with the square of their depth.
    try:
        tree = LexborHTMLParser(bounded(page))
    except SelectolaxError as error:
        raise ValueError(str(error)) from error
    if tree.root is None:
        return Read("", None)
    titles = (node for node in tree.css("title") if not _in_picture(node))
    title = next(titles, None)
    text, hidden = _visible_text(tree.root, _sheet(tree))
    return Read(text, None if title is None else title.text(), hidden)


def serve(asked: BinaryIO, answers: BinaryIO) -> None:
    """Answer each page with its text and title, or the problem with it; a number of 8 bytes, the length, leads each.

    Args:
        asked: Gives the pages; it ends when who asks does.
        answers: Takes JSON, and an empty answer at first: this process is ready.
    """
    answer = b""
    while True:
        answers.write(len(answer).to_bytes(8, "big") + answer)
        answers.flush()
        head = asked.read(8)
        if not head:
            return
        answer = _answer(asked.read(int.from_bytes(head, "big")))


def _answer(raw: bytes) -> bytes:
    try:
        found = read(raw)
    except (ValueError, RecursionError, MemoryError) as error:
        # Anything else ends this process, which whoever asks takes for a problem with the page, too.
        why = f"cannot be parsed: {str(error) or type(error).__name__}"
        return orjson.dumps({"text": "", "title": None, "problem": why, "hidden": 0})
    title = found.title and _encodable(found.title)
    return orjson.dumps({"text": _encodable(found.text), "title": title, "problem": None, "hidden": found.hidden})


def _encodable(text: str) -> str:
    """Some encodings that a page may declare spell lone surrogates, which no UTF-8 can hold."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _in_picture(node: LexborNode) -> bool:
    return node.parent is not None and node.parent.tag == "svg"


def _sheet(tree: LexborHTMLParser) -> Sheet:
    """The rules of the page's own sheets."""
    sheet = Sheet()
    for style in tree.css("style"):
        if (style.attributes.get("media") or "").strip().lower() in _MEDIA:
            sheet.add(style.text())
    return sheet


class _Place(NamedTuple):
    """An element on the way down: its node, its block, its look, and which selectors held above it and at it."""

    node: LexborNode
    block: LexborNode | None
    is_pre: bool
    look: Look
    above: frozenset[tuple[int, int]] = frozenset()
    matched: frozenset[tuple[int, int]] = frozenset()


def _visible_text(root: LexborNode, sheet: Sheet) -> tuple[str, int]:
    """Join the text nodes: a line a block, runs of white space inside a line as one space, `<pre>` as it is.

    Returns:
        The text, and how many characters of other text styles hide.
    """
    blocks: list[str] = []
    pieces: list[str] = []
    current: _Place | None = None
    hidden = 0
    for node, place in _walk(root, sheet):
        tag = node.tag
        if tag in _BREAKS and not place.look.hidden:
            pieces.append(_BREAKS[tag])
        if tag != _TEXT:
            continue
        text = node.text_content or ""
        if place.look.hidden:
            hidden += len("".join(text.split()))
            continue
        # The block is carried down: to climb to it from each text would cost the square of the depth.
        if current is None or current.block is not place.block:
            blocks.append(_block_text(pieces, current))
            pieces, current = [], place
        pieces.append(text if place.is_pre else _SPACES.sub(" ", text))
    blocks.append(_block_text(pieces, current))
    return "\n".join(block for block in blocks if block), hidden


def _walk(root: LexborNode, sheet: Sheet) -> Iterator[tuple[LexborNode, _Place]]:
    """Yield each text and element with the place it stands in, in the order of the page; unseen elements are left out.

    Goes by links from node to node: a recursion would end at a page as deep as the interpreter's stack.
    """
    places = [_entered(root, _Place(root, None, is_pre=False, look=Look()), sheet)]
    node: LexborNode | None = root.child
    while True:
        while node is not None:
            yield node, places[-1]
            child = node.child if node.is_element_node and node.tag not in _UNSEEN else None
            if child is None:
                node = node.next
            else:
                places.append(_entered(node, places[-1], sheet))
                node = child
        if len(places) == 1:
            return
        node = places.pop().node.next


def _entered(node: LexborNode, around: _Place, sheet: Sheet) -> _Place:
    """The place that an element is for what is in it."""
    tag = node.tag or ""
    attributes = node.attributes
    names = attributes.get("class") or ""
    above = around.above | around.matched if around.matched else around.above
    matched = sheet.matched(tag, frozenset(names.split()), attributes.get("id") or "", above, around.matched)
    declared = sheet.declared(matched, attributes.get("style")) if matched or attributes.get("style") else {}
    if "hidden" in attributes:
        declared.setdefault("display", "none")
    declared = _presented(tag, attributes) | declared
    is_block = tag in BLOCKS
    return _Place(
        node,
        node if is_block else around.block,
        tag == "pre" if is_block else around.is_pre,
        around.look.within(declared) if declared else around.look,
        above,
        matched,
    )


def _presented(tag: str, attributes: Mapping[str, str | None]) -> dict[str, str]:
    """What an element has by its kind and by attributes of old, which every sheet outweighs."""
    found = _OWN.get(tag, {})
    if tag == "a" and "href" in attributes:
        found = {"color": "-webkit-link"}
    if bgcolor := attributes.get("bgcolor"):
        found = found | {"background-color": bgcolor.strip().lower()}
    if tag == "font" and (colour := attributes.get("color")):
        found = found | {"color": colour.strip().lower()}
    return found


def _block_text(pieces: list[str], place: _Place | None) -> str:
    text = "".join(pieces)
    if place is not None and place.is_pre:
        return text.strip("\n")
    return "\n".join(" ".join(line.split()) for line in text.split("\n")).strip()
