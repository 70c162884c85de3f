"""Normalise the text of a document: the form that is stored, validated, hashed and chunked."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

__all__ = ["NORMALISER", "normalise", "original_lines"]

# Raise it with every change of what `normalise` returns: it is in the fingerprint of all that follows.
NORMALISER = "2"

# Not str.rstrip(): that would also take control characters, which the validation must see and refuse.
SPACES = " \t\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
BYTE_ORDER_MARK = "\ufeff"
# White space to Unicode that ends a line: pages of pdftotext and RFCs, lines of slides and of mainframes.
BREAKS = re.compile("\r\n|[\r\x0b\x0c\x85]")
BREAKING = ("\r", "\x0b", "\x0c", "\x85")  # most texts have none of them, which is seen in a hundredth of the time
# How a terminal is told to colour a text and where to write it. What may begin such an order always goes, so that what
# is left never makes up another one. `ESC $`, which begins Japanese text of another encoding, is none of them.
ESCAPES = re.compile(
    "\x1b+(?:"
    "\\[[0-?]*+[ -/]*+[@-~]?+"  # colours and cursor
    "|\\](?:[^\x07\x1b\n]*+(?:\x07|\x1b\\\\))?+"  # title of the window, links
    "|[()][0AB]?+|[=>78cDEHMNOZ\\\\])"  # tables of characters, keypad, kept places
)
# What ends a line for `normalise`, and of that what ends one for an editor.
ENDINGS = re.compile("\r\n|[\r\n\x0b\x0c\x85]")
COUNTED = ("\r\n", "\r", "\n")
ENDS = SPACES + "\n\x1a"  # old systems end a text file with the last of them


def normalise(text: str) -> str:
    r"""Return a text in the one form in which Tidemark stores, hashes and chunks it.

    Line breaks become `\n`, those of Unicode that are control characters (vertical tab, form feed, next line) with
    them; characters are composed (Unicode NFC), byte order marks at the start go, and so do spaces at the ends of lines
    and blank lines around the document. Orders to a terminal go, and a character that a backspace writes over. Nothing
    else inside lines is touched, since in code and tables it means something; other control characters stay, for the
    validation to see and refuse.

    Args:
        text: Decoded text of a document.

    Returns:
        The normalised text; normalising it again changes nothing.
    """
    return _cleaned(text).lstrip(BYTE_ORDER_MARK + "\n").rstrip(ENDS)


def original_lines(text: str, spans: Iterable[tuple[int, int, str]]) -> list[tuple[int, int] | None]:
    """Find the lines of a text, as editors count them, of which parts of its normalised form were made.

    Args:
        text: Decoded text of a document, as it lies in its file.
        spans: Start, end and what is said to stand there, of parts of the normalised text.

    Returns:
        First and last line of each part, from 1; None where something else stands there: the text is another one now.
    """
    cleaned = _cleaned(text)
    normal = normalise(text)
    # Normalising takes blank lines away at the start alone; within a line it may take characters, but never a line.
    skipped = cleaned[: len(cleaned) - len(cleaned.lstrip(BYTE_ORDER_MARK + "\n"))].count("\n")
    numbers = [1]
    for found in ENDINGS.finditer(text):
        numbers.append(numbers[-1] + (found.group() in COUNTED))
    lines: list[tuple[int, int] | None] = []
    for start, end, said in spans:
        if not start < end or normal[start:end] != said:
            lines.append(None)
            continue
        first, last = (skipped + normal.count("\n", 0, at) for at in (start, end - 1))
        lines.append((numbers[first], numbers[last]))
    return lines


def _cleaned(text: str) -> str:
    plain = text.lstrip(BYTE_ORDER_MARK)
    if any(each in plain for each in BREAKING):
        plain = BREAKS.sub("\n", plain)
    if "\b" in plain:
        plain = "\n".join(_written_over(line) if "\b" in line else line for line in plain.split("\n"))
    if "\x1b" in plain:
        plain = ESCAPES.sub("", plain)
    lines = unicodedata.normalize("NFC", plain).split("\n")
    return "\n".join(line.rstrip(SPACES) for line in lines)


def _written_over(line: str) -> str:
    """Carry out backspaces: manuals print a letter twice to make it bold, and over a line to underline it."""
    first, *rest = line.split("\b")
    kept = list(first)
    for part in rest:
        if kept:
            kept.pop()
        kept.extend(part)
    return "".join(kept)
