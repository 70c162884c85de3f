"""Headings of Markdown and reStructuredText, each with the text of its section."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tasks.learn.kinds.base import Cut, Page

__all__ = ["headings"]

_FENCE = re.compile(r" {0,3}(```+|~~~+)")
_ATX = re.compile(r" {0,3}#{1,6}[ \t]+(\S.*)")
_UNDERLINE = re.compile(r"(=+|-+|~+|\^+)")
_LINK = re.compile(r"!?\[([^\]\n]*)\](?:\([^)\n]*\)|\{[^}\n]*\})?")
_ANCHOR = re.compile(r"\{[#.:][^}\n]*\}")
_MARKS = re.compile(r"[*`]+|(?<!\w)_+|_+(?!\w)")
_NUMBER = re.compile(r"^(?:\d+[.)])+(?:\d+)?\s+")


def headings(page: Page) -> Iterator[Cut]:
    """Yield each heading with the text up to the next heading; what stands in a fenced block is none."""
    lines = page.text.split("\n")
    found = list(_headings(lines))
    ends = [*(start for start, _, _ in found[1:]), len(lines)]
    for (_, begin, heading), end in zip(found, ends, strict=False):  # without a heading there is one end too many
        yield Cut(_words(heading), "\n".join(lines[begin:end]))


def _headings(lines: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """Yield the line of each heading, the line behind it, and its text."""
    fence = ""
    for number, line in enumerate(lines):
        mark = _FENCE.match(line)
        if mark:
            if not fence:
                fence = mark[1]
            elif mark[1].startswith(fence):
                fence = ""
            continue
        if fence:
            continue
        heading = _ATX.match(line)
        if heading:
            yield number, number + 1, heading[1]
        elif _underlined(lines, number):
            yield number, number + 2, line


def _underlined(lines: Sequence[str], number: int) -> bool:
    """Whether a line is a heading by the line below: a paragraph of its own, underlined over its whole length."""
    line, below = lines[number], lines[number + 1] if number + 1 < len(lines) else ""
    alone = number == 0 or not lines[number - 1].strip() or bool(_UNDERLINE.fullmatch(lines[number - 1].strip()))
    full = len(below.rstrip()) >= min(len(line.rstrip()), 80)
    return alone and full and bool(line[:1].strip()) and len(below) >= 3 and bool(_UNDERLINE.fullmatch(below.rstrip()))


def _words(heading: str) -> str:
    """A heading without its markup and number."""
    bare = _MARKS.sub("", _LINK.sub(r"\1", _ANCHOR.sub("", heading.strip().rstrip("#"))))
    return " ".join(_NUMBER.sub("", bare).split())
