"""Find the places where texts may be cut, and what begins there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from tasks.build.chunking.joined import CLOSE, CLOSERS, END, LOWER, NEWLINE, SPACE, WIDE, WIDE_ENDS, Ints, Joined

__all__ = ["Boundaries", "Kind", "find_boundaries"]

Spans = Iterator[tuple[int, int]]


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


CLOSED = re.compile(f"[{re.escape(CLOSERS)}]+")
WIDE_END = re.compile(rf"[{WIDE_ENDS}]['\"\u300d\u300f\uff09\u201d\u2019]*[^\S\n]*(?=\S)")
# Markdown; a title underlined, as setext and reStructuredText have it, with or without a line above it.
HASHED = re.compile(r"^#{1,6}[ \t]+\S", re.MULTILINE)
RULES = '=-~^"*+#'
RULE = "(?:" + "|".join(f"{re.escape(mark)}{{3,}}" for mark in RULES) + ")"
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
DEFINING = "@#acdefimnopstu"  # what a match of DEFINITION begins with
FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})([^\n]*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Boundaries:
    """Where the atoms of joined texts begin, in order, what begins there, and where each text's first is."""

    starts: Ints
    kinds: Ints
    firsts: Ints


def find_boundaries(texts: Joined) -> Boundaries:
    """Find the beginnings of lines and sentences of texts.

    Args:
        texts: Normalised texts.

    Returns:
        The offsets of the first character of every atom (never white space), each text's first included, and their
        kinds; none of a text of white space. `firsts` has an entry a text: the index of its first atom, or that of the
        next text's if it has none.
    """
    starts, kinds = _lines_and_sentences(texts)
    kept = np.ones(len(starts), np.bool_)
    lines = _unindented(texts)
    for found, kind in (
        (_matches(DEFINITION, texts, lines[_begin_with(texts, lines, DEFINING)]), Kind.DEFINITION),
        (_matches(UNDERLINED, texts, _perhaps_titles(texts, lines)), Kind.HEADING),
        (_matches(HASHED, texts, lines[_begin_with(texts, lines, "#")]), Kind.HEADING),
    ):
        for start, end in found:
            at = int(np.searchsorted(starts, start))
            if kept[at]:
                kinds[at] = kind
            # Neither a title and its underline nor a decorator and its function are parted.
            for inner in _line_starts(texts.text, start, end):
                kept[np.searchsorted(starts, inner)] = False
    starts, kinds = starts[kept], kinds[kept]
    for opened, closed in _fences(texts):
        kinds[np.searchsorted(starts, opened, "right") : np.searchsorted(starts, closed)] = Kind.FENCED
    return Boundaries(starts, kinds, np.searchsorted(starts, texts.begins))


def _lines_and_sentences(texts: Joined) -> tuple[Ints, Ints]:
    """Find where a text, a line or a sentence begins, and what of them it is."""
    breaks = np.flatnonzero(texts.flags & NEWLINE)
    following = texts.visible_from(breaks)
    breaks, following = breaks[following < len(texts.words)], following[following < len(texts.words)]
    # The first of the line breaks between two words, and how many there are.
    first = np.flatnonzero(np.diff(following, prepend=-1))
    blank = np.diff(first, append=len(following)) > 1
    ended = texts.flags[breaks[first] - 1] & END != 0
    words = following[first]
    kinds = np.where(blank, Kind.PARAGRAPH, np.where(ended, Kind.SENTENCE, Kind.LINE)).astype(np.int64)
    begun = texts.words[words]
    # The zeros and the line break between two texts belong to neither: what comes first begins a paragraph.
    opening = texts.visible_from(texts.begins)
    kinds[np.searchsorted(words, opening[opening < len(texts.words)])] = Kind.PARAGRAPH
    others = np.concatenate([_sentences(texts, words), _wide_sentences(texts)])
    starts = np.concatenate([begun, others])
    kinds = np.concatenate([kinds, np.full(len(others), Kind.SENTENCE, np.int64)])
    by_place = np.argsort(starts, kind="stable")
    return starts[by_place], kinds[by_place]


def _sentences(texts: Joined, lines: Ints) -> Ints:
    """Find where a sentence begins behind the end of another in the same line.

    What follows in lower case is taken for the rest of a sentence with an abbreviation in it.

    Args:
        texts: The texts.
        lines: Indices of the words that begin a line.
    """
    behind = np.flatnonzero(texts.flags & (END | WIDE) == END) + 1
    closed = np.flatnonzero(texts.flags[behind] & CLOSE)
    for at in closed.tolist():
        span = CLOSED.match(texts.text, behind[at])
        behind[at] = span.end() if span else behind[at]
    words = texts.visible_from(behind[texts.flags[behind] & SPACE != 0])
    words = words[words < len(texts.words)]
    starts = texts.words[words]
    begins_line = np.isin(words, lines, assume_unique=True)
    found: Ints = starts[~begins_line & (texts.flags[starts] & LOWER == 0)]
    return found


def _wide_sentences(texts: Joined) -> Ints:
    """Find where a sentence begins behind the end of another in Chinese or Japanese."""
    ends = np.flatnonzero(texts.flags & WIDE)
    limits = texts.visible_before(texts.ends[np.searchsorted(texts.begins, ends, "right") - 1])
    found = (WIDE_END.match(texts.text, *span) for span in zip(ends.tolist(), limits.tolist(), strict=True))
    return np.array([each.end() for each in found if each], dtype=np.int64)


def _unindented(texts: Joined) -> Ints:
    """Find the lines that begin with a visible character."""
    lines = np.flatnonzero(texts.flags & NEWLINE)[:-1] + 1
    visible: Ints = lines[texts.flags[lines] & SPACE == 0]
    return visible


def _begin_with(texts: Joined, lines: Ints, characters: str) -> Ints:
    """Return the indices of the lines that begin with one of some ASCII characters."""
    wanted = np.zeros(129, np.bool_)
    wanted[[ord(character) for character in characters]] = True
    return np.flatnonzero(wanted[np.minimum(texts.codes[lines], 128)])


def _perhaps_titles(texts: Joined, lines: Ints) -> Ints:
    """Return the lines before one that may underline a title, and those before them, which may be above a title."""
    rules = _begin_with(texts, lines, RULES)
    at = lines[rules]
    alike = (texts.codes[at] == texts.codes[at + 1]) & (texts.codes[at] == texts.codes[at + 2])
    before = np.unique(np.concatenate([rules[alike] - 1, rules[alike] - 2]))
    found: Ints = lines[before[before >= 0]]
    return found


def _matches(pattern: re.Pattern[str], texts: Joined, places: Ints) -> Spans:
    """Match a pattern at places, from the first on, where no match before reaches."""
    owners = np.searchsorted(texts.begins, places, "right") - 1
    limits = texts.visible_before(texts.ends[owners])
    done = 0
    for place, limit in zip(places.tolist(), limits.tolist(), strict=True):
        found = pattern.match(texts.text, place, limit) if place >= done else None
        if found:
            done = found.end()
            yield place, done


def _line_starts(text: str, start: int, end: int) -> Iterator[int]:
    """Return the offsets of the first visible characters of the lines that begin inside a span."""
    at = text.find("\n", start, end)
    while at >= 0:
        at += 1
        while at < end and text[at].isspace():
            at += 1
        yield at
        at = text.find("\n", at, end)


def _fences(texts: Joined) -> Spans:
    """Return the spans of fenced code, from the opening line's start to the closing line's end."""
    marks = [mark for mark in ("```", "~~~") if mark in texts.text]
    if not marks:
        return
    for begin, end in zip(texts.begins.tolist(), texts.ends.tolist(), strict=True):
        if any(texts.text.find(mark, begin, end) >= 0 for mark in marks):
            for opened, closed in _fenced(texts.text[begin:end]):
                yield begin + opened, begin + closed


def _fenced(text: str) -> Spans:
    """Return the spans of fenced code of one text."""
    opening: re.Match[str] | None = None
    for match in FENCE.finditer(text):
        info = match.group(2).strip()
        if opening is None or info:
            # A line that names a language opens a block even where the last was not closed, so that a lost fence harms
            # one block only.
            nested = opening is not None and len(match.group(1)) < len(opening.group(1))
            opening = opening if nested else match
        elif match.group(1).startswith(opening.group(1)):
            yield opening.end() - len(opening.group(2)), match.end()
            opening = None
