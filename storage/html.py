"""The visible text of HTML; imports little, for the processes that do nothing else start with it."""

from __future__ import annotations

import re
from typing import BinaryIO

import orjson
from bs4 import BeautifulSoup, Tag
from bs4.dammit import EncodingDetector
from bs4.element import NavigableString, PageElement
from bs4.exceptions import ParserRejectedMarkup

from storage.encoding import decode

__all__ = ["read", "serve"]

_BLOCKS = frozenset(
    """address article aside blockquote body caption center dd details dialog div dl dt fieldset figcaption figure
    footer form h1 h2 h3 h4 h5 h6 header hgroup html li main menu nav ol p pre section summary table tbody tfoot
    thead tr ul""".split()  # noqa: SIM905 - a list of fifty quoted words reads worse
)
_BREAKS = {"br": "\n", "hr": "\n", "td": " ", "th": " "}
_SPACES = re.compile(r"\s+")
_UNSEEN = ["script", "style", "template", "noscript", "head", "svg", "iframe", "object"]
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)


def read(raw: bytes) -> tuple[str, str | None]:
    """Find the visible text of a page, and its title as it stands there.

    Raises:
        ParserRejectedMarkup: The parser knows no way to go on.
    """
    soup = BeautifulSoup(_decoded(raw), "html.parser")
    title = soup.title.get_text() if soup.title else None
    for tag in soup.find_all(_UNSEEN):
        tag.extract()
    for tag in soup.find_all(_hidden):
        tag.extract()
    return _visible_text(soup), title


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
        text, title = read(raw)
    except (ParserRejectedMarkup, RecursionError, MemoryError) as error:
        # Anything else ends this process, which whoever asks takes for a problem with the page, too.
        why = f"cannot be parsed: {str(error) or type(error).__name__}"
        return orjson.dumps({"text": "", "title": None, "problem": why})
    return orjson.dumps({"text": _encodable(text), "title": title and _encodable(title), "problem": None})


def _encodable(text: str) -> str:
    """Some encodings that a page may declare spell lone surrogates, which no UTF-8 can hold."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        declared = EncodingDetector.find_declared_encoding(raw[:4096], is_html=True)
    try:
        return raw.decode(declared) if declared and declared.lower() not in {"utf-8", "utf8"} else decode(raw)
    except (LookupError, ValueError):  # no encoding, or not the page's: some say so in errors of their own
        return decode(raw)


def _hidden(tag: Tag) -> bool:
    return tag.has_attr("hidden") or bool(_HIDDEN_STYLE.search(str(tag.get("style") or "")))


def _visible_text(soup: BeautifulSoup) -> str:
    """Join the text nodes: a line a block, runs of white space inside a line as one space, `<pre>` as it is."""
    blocks: list[str] = []
    pieces: list[str] = []
    current: PageElement | None = None
    for node in soup.descendants:
        if isinstance(node, Tag):
            if node.name in _BREAKS:
                pieces.append(_BREAKS[node.name])
            continue
        # Comments, doctypes and declarations are subclasses; what a reader sees is the class itself.
        if type(node) is not NavigableString:
            continue
        block = node.parent
        while block is not None and block.name not in _BLOCKS:
            block = block.parent
        if block is not current:
            blocks.append(_block_text(pieces, current))
            pieces, current = [], block
        pieces.append(str(node) if _preformatted(block) else _SPACES.sub(" ", str(node)))
    blocks.append(_block_text(pieces, current))
    return "\n".join(block for block in blocks if block)


def _preformatted(block: PageElement | None) -> bool:
    return isinstance(block, Tag) and block.name == "pre"


def _block_text(pieces: list[str], block: PageElement | None) -> str:
    text = "".join(pieces)
    if _preformatted(block):
        return text.strip("\n")
    return "\n".join(" ".join(line.split()) for line in text.split("\n")).strip()
