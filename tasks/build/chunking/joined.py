"""Many texts in one string with all their characters looked up, so that one pass of numpy serves them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from models.text.characters import CharacterTable, Codes, Flags, code_points

__all__ = ["CLOSE", "END", "LOWER", "NEWLINE", "SHINGLE", "SPACE", "WIDE", "Ints", "Joined"]

Ints = npt.NDArray[np.int64]

SPACE, NEWLINE, LOWER, END, WIDE, CLOSE = (1 << bit for bit in range(6))
# Which characters end a sentence; the second are those of Chinese and Japanese, which put no space behind them.
NARROW_ENDS, WIDE_ENDS = ".!?\u2026", "\u3002\uff01\uff1f\uff61"
CLOSERS = "'\")]\u201d\u2019*_"  # what may stand between the first of them and the space behind

# Characters that are hashed together: long enough to be rare, short enough that an edited word spoils few.
SHINGLE = 8
# Behind a text there are as many zeros as a shingle at its last character needs, and the text begins a line.
BETWEEN = "\0" * (SHINGLE - 1) + "\n"


def _flags(character: str) -> int:
    """What a character is to the chunker; the zeros between texts count as white space, those in texts do not."""
    found = SPACE if character.isspace() else 0
    found |= NEWLINE if character == "\n" else 0
    found |= LOWER if "a" <= character <= "z" else 0
    found |= END if character in NARROW_ENDS else END | WIDE if character in WIDE_ENDS else 0
    return found | (CLOSE if character in CLOSERS else 0)


TABLE = CharacterTable(_flags)


@dataclass(frozen=True, slots=True)
class Joined:
    """Texts one behind the other.

    Attributes:
        text: All of them, each between two separators.
        codes: Code points of `text`.
        flags: What each character of `text` is; separators are white space.
        begins: Where each text begins in `text`.
        ends: Where each text ends in `text`, with the white space behind it.
        words: Where white space ends and something visible begins, ascending.
        gaps: Where that, and all visible up to the next white space, ends: as many as `words`.
    """

    text: str
    codes: Codes
    flags: Flags
    begins: Ints
    ends: Ints
    words: Ints
    gaps: Ints

    @classmethod
    def of(cls, texts: Sequence[str]) -> Self:
        """Join texts."""
        text = BETWEEN + "".join(each + BETWEEN for each in texts)
        codes = code_points(text)
        flags = TABLE.of(codes)
        lengths = np.array([len(each) for each in texts], dtype=np.int64)
        begins = np.cumsum(lengths + len(BETWEEN)) - lengths
        ends = begins + lengths
        separators = np.concatenate([np.zeros(1, np.int64), ends])
        flags[(separators[:, None] + np.arange(SHINGLE - 1)).ravel()] = SPACE
        space = (flags & SPACE).view(np.bool_)
        edges = np.flatnonzero(space[1:] != space[:-1]) + 1
        return cls(text, codes, flags, begins, ends, edges[::2], edges[1::2])

    def visible_from(self, places: Ints) -> Ints:
        """Return the index in `words` of the first word that begins at each place or behind it; len(words) if none."""
        return np.searchsorted(self.words, places)

    def visible_before(self, places: Ints) -> Ints:
        """Return where the text before each place ends, less its white space; a place is visible, or an end."""
        return np.minimum(places, self.gaps[np.maximum(self.visible_from(places) - 1, 0)])
