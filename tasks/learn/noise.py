"""Questions as people type them in a hurry: with typos, in capitals, with words left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from storage.hashing import digest

__all__ = ["NOISE", "noisy"]

TYPOS = 0.08  # share of the letters
DROPPED = 0.25  # share of the words


def noisy(texts: Sequence[str], kind: str, seed: int = 0) -> list[str]:
    """Disturb questions; the same text is always disturbed in the same way.

    Args:
        texts: The questions.
        kind: Of NOISE.
        seed: Of what is drawn.
    """
    return [NOISE[kind](text, Random(digest(f"{seed}\x1f{kind}\x1f{text}"))) for text in texts]  # noqa: S311 - no secret


def _typos(text: str, random: Random) -> str:
    """Swap neighbours, drop or double letters: one in twelve, and at least one."""
    letters = list(text)
    places = [at for at, letter in enumerate(letters) if letter.isalpha()]
    for at in random.sample(places, min(len(places), max(1, round(TYPOS * len(places))))):
        kind = random.randrange(3)
        if kind == 0 and at + 1 < len(letters) and len(letters[at + 1]) == 1:
            letters[at], letters[at + 1] = letters[at + 1], letters[at]
        else:
            letters[at] = letters[at] * 2 if kind == 1 else ""
    return "".join(letters) if "".join(letters).strip() else text


def _dropped(text: str, random: Random) -> str:
    """Leave out a quarter of the words, and at least one where there are two."""
    words = text.split()
    count = min(len(words) - 1, max(1, round(DROPPED * len(words))))
    gone = set(random.sample(range(len(words)), max(0, count)))
    return " ".join(word for at, word in enumerate(words) if at not in gone)


NOISE: dict[str, Callable[[str, Random], str]] = {
    "typos": _typos,
    "upper case": lambda text, _: text.upper(),
    "lower case": lambda text, _: text.lower(),
    "dropped words": _dropped,
}
