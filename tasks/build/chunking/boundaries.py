"""Find the places where a text may be cut, and rank them by what they are and by the text that follows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

__all__ = ["Boundaries", "Kind", "find_boundaries", "order", "strength"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Kind(IntEnum):
    """What begins at a boundary; the first is the best place to cut."""

    HEADING = 0
    DEFINITION = 1
    PARAGRAPH = 2
    SENTENCE = 3
    LINE = 4
    FENCED = 5
    WORD = 6
    TOKEN = 7


# A line of text begins (group 1, with the blank lines before it), or a sentence does after the end of another. What
# follows in lower case is taken for the rest of a sentence with an abbreviation in it. The second row is that of
# Chinese and Japanese, which put no space between sentences.
START = re.compile(
    r"(\n\s*)(?=\S)|[.!?\u2026]['\")\]\u201d\u2019*_]*[^\S\n]+(?=[^\sa-z])"
    r"|[\u3002\uff01\uff1f\uff61]['\"\u300d\u300f\uff09\u201d\u2019]*[^\S\n]*(?=\S)"
)
SENTENCE_END = frozenset(".!?\u2026\u3002\uff01\uff1f\uff61")
# Markdown; a title underlined, as setext and reStructuredText have it, with or without a line above it.
HASHED = re.compile(r"^#{1,6}[ \t]+\S", re.MULTILINE)
RULE = r"(?:={3,}|-{3,}|~{3,}|\^{3,}|\"{3,}|\*{3,}|\+{3,}|#{3,})"
UNDERLINED = re.compile(rf"^(?:{RULE}\n)?[^\s|][^\n]*\n{RULE}$", re.MULTILINE)
# Top-level definitions of the usual languages, with the decorators and attributes above them.
DEFINITION = re.compile(
    r"^(?:(?:@\w|#\[)[^\n]*\n){0,20}"
    r"(?:(?:export|default|public|private|protected|internal|abstract|final|static|pub(?:\([a-z]+\))?|async|unsafe|"
    r"inline|extern|sealed|open|data)[ \t]+){0,5}"
    r"(?:def|class|function|func|fun|fn|struct|enum|interface|trait|impl|namespace|module|proc|sub|subroutine)"
    r"[ \t(*<]+[\w(<]",
    re.MULTILINE,
)
FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})([^\n]*)$", re.MULTILINE)

# Characters that are hashed together: long enough to be rare, short enough that an edited word spoils few.
SHINGLE = 8
BLOCK = 1_000_000  # characters hashed at once: eight bytes each, several times over


@dataclass(frozen=True, slots=True)
class Boundaries:
    """Where the atoms of a text begin, in order, and what begins there."""

    starts: Ints
    kinds: Ints


def find_boundaries(text: str) -> Boundaries:
    """Find the beginnings of lines and sentences of a text.

    Args:
        text: Normalised text.

    Returns:
        The offsets of the first character of every atom (never white space), the text's first included, and their
        kinds. Empty for a text of white space.
    """
    first, end = len(text) - len(text.lstrip()), len(text.rstrip())
    if first >= end:
        return Boundaries(np.empty(0, np.int64), np.empty(0, np.int64))
    kinds: dict[int, int] = {first: Kind.PARAGRAPH}
    for match in START.finditer(text, first, end):
        line = match.group(1)
        if line is None:
            kinds[match.end()] = Kind.SENTENCE
        elif line.count("\n") > 1:
            kinds[match.end()] = Kind.PARAGRAPH
        else:
            kinds[match.end()] = Kind.SENTENCE if text[match.start() - 1] in SENTENCE_END else Kind.LINE
    for pattern, kind in ((DEFINITION, Kind.DEFINITION), (UNDERLINED, Kind.HEADING), (HASHED, Kind.HEADING)):
        for match in pattern.finditer(text, first, end):
            if match.start() in kinds:
                kinds[match.start()] = kind
            # Neither a title and its underline nor a decorator and its function are parted.
            for inner in _line_starts(text, match.start(), match.end()):
                kinds.pop(inner, None)
    starts = np.array(sorted(kinds), dtype=np.int64)
    found = np.array([kinds[start] for start in starts.tolist()], dtype=np.int64)
    for opened, closed in _fences(text):
        found[np.searchsorted(starts, opened, "right") : np.searchsorted(starts, closed)] = Kind.FENCED
    return Boundaries(starts, found)


def strength(text: str, starts: Ints, ends: Ints) -> Floats:
    """Return the pseudo-random rank of the atoms of a text: the least is the best place to cut before.

    It depends on the atom's own characters alone, so that an edit elsewhere does not change it: the least hash of its
    shingles (Broder, 1997), which an edited word usually leaves as it was.

    Args:
        text: The text.
        starts: Offsets of the first characters of the atoms, ascending.
        ends: Offsets after the last characters of the atoms.
    """
    if not len(starts):
        return np.empty(0, np.float64)
    hashes = np.full(len(text) + 1, 0xFFFFFFFFFFFFFFFF, np.uint64)
    for at in range(0, len(text), BLOCK):
        hashes[at : min(at + BLOCK, len(text))] = _shingles(text[at : at + BLOCK + SHINGLE - 1])[:BLOCK]
    # Shingles that lie wholly in the atom; an atom shorter than one has the one at its start.
    last = np.maximum(ends - SHINGLE + 1, starts + 1)
    limits = np.stack([starts, last], axis=1).ravel()
    least = np.minimum.reduceat(hashes, limits)[::2]
    # The least of many is small. Times their number it is not: else a long sentence put among short ones would always
    # be the best place to cut, and its neighbours' cuts would give way.
    ranks: Floats = (least.astype(np.float64) + 1.0) * (last - starts)
    return ranks


def order(kinds: Ints, ranks: Floats) -> Ints:
    """Return the boundaries' indices from the best place to cut to the worst; equal ones in the text's order.

    A paragraph, heading or definition has the rank of its best atom: it keeps it when a sentence is put before its
    first.
    """
    blocks = np.flatnonzero(kinds <= Kind.PARAGRAPH)
    ranks = ranks.copy()
    if len(blocks):
        ranks[blocks] = np.minimum.reduceat(ranks, blocks)
    return np.lexsort((np.arange(len(kinds)), ranks, kinds)).astype(np.int64)


def _shingles(text: str) -> npt.NDArray[np.uint64]:
    """Return the hash of the shingle at every character; behind the last character there are zeros."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint64)
    padded = np.concatenate([codes, np.zeros(SHINGLE, np.uint64)])
    hashes = np.zeros(len(codes), np.uint64)
    for place in range(SHINGLE):
        hashes = hashes * np.uint64(0x100000001B3) + padded[place : place + len(codes)]
    # The finaliser of MurmurHash3: a polynomial alone leaves the high bits of similar texts alike.
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        hashes ^= hashes >> np.uint64(33)
        hashes *= np.uint64(factor)
    return hashes ^ (hashes >> np.uint64(33))


def _line_starts(text: str, start: int, end: int) -> list[int]:
    """Return the offsets of the first visible characters of the lines that begin inside a span."""
    inner: list[int] = []
    at = text.find("\n", start, end)
    while at >= 0:
        at += 1
        while at < end and text[at].isspace():
            at += 1
        inner.append(at)
        at = text.find("\n", at, end)
    return inner


def _fences(text: str) -> list[tuple[int, int]]:
    """Return the spans of fenced code, from the opening line's start to the closing line's end."""
    spans: list[tuple[int, int]] = []
    opening: re.Match[str] | None = None
    for match in FENCE.finditer(text):
        info = match.group(2).strip()
        if opening is None or info:
            # A line that names a language opens a block even where the last was not closed, so that a lost fence harms
            # one block only.
            nested = opening is not None and len(match.group(1)) < len(opening.group(1))
            opening = opening if nested else match
        elif match.group(1).startswith(opening.group(1)):
            spans.append((opening.end() - len(opening.group(2)), match.end()))
            opening = None
    return spans
