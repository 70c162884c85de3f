"""What letters are written in and what they stand on, as far as a page says it itself."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["FAINT", "NUMBER", "Colour", "colour_of", "number_of", "paper_of", "same", "transparent"]

NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(px|pt|r?em|ex|ch|%|vw|vh|cm|mm|in|pc)?")
_WORDS = re.compile(r"[a-z]+\([^)]*+\)|[^\s,]++")
FAINT = 0.05  # opacity, at most, of what nobody sees

Colour = tuple[int, int, int] | str
"""Red, green and blue, or a name that stands for itself."""

_NAMES: dict[str, Colour] = {
    name: (red, green, blue)
    for name, red, green, blue in [
        *(("white", 255, 255, 255), ("black", 0, 0, 0), ("red", 255, 0, 0), ("lime", 0, 255, 0), ("blue", 0, 0, 255)),
        *(("gray", 128, 128, 128), ("grey", 128, 128, 128), ("silver", 192, 192, 192), ("snow", 255, 250, 250)),
        *(("yellow", 255, 255, 0), ("whitesmoke", 245, 245, 245), ("ivory", 255, 255, 240), ("green", 0, 128, 0)),
        *(("navy", 0, 0, 128), ("maroon", 128, 0, 0), ("floralwhite", 255, 250, 240), ("ghostwhite", 248, 248, 255)),
    ]
}
_ALIKE = 8  # of 255, in each of the three, that nobody tells apart


def colour_of(text: str) -> Colour | None:
    """A colour that hides what is behind it; None for one that does not, or that this cannot read."""
    if text.startswith("#") and re.fullmatch(r"#(?:[0-9a-f]{3}f?|[0-9a-f]{6}(?:ff)?)", text):
        digits = [sign * 2 for sign in text[1:4]] if len(text) < 7 else [text[1:3], text[3:5], text[5:7]]
        return int(digits[0], 16), int(digits[1], 16), int(digits[2], 16)
    if text.startswith("rgb"):
        parts = re.split(r"[\s,/]+", text.partition("(")[2].rstrip(") "))
        if len(parts) not in (3, 4) or (len(parts) == 4 and number_of(parts[3], 0.0) < 1):
            return None
        red, green, blue = (round(number_of(part, -1.0) * (255 if part.endswith("%") else 1)) for part in parts[:3])
        return red, green, blue
    return _NAMES.get(text, text) if text.replace("-", "").isalpha() else None


def paper_of(declared: Mapping[str, str], around: Colour | None) -> Colour | None:
    """What letters stand on: the colour of the nearest element that has one, unless a picture may lie there."""
    whole, picture = declared.get("background", ""), declared.get("background-image", "none")
    if "(" in re.sub(r"\brgba?\(", "", whole) or picture not in ("none", "initial"):
        return None
    named = declared.get("background-color") or next((part for part in _WORDS.findall(whole) if _is_colour(part)), None)
    if named is None or named in ("transparent", "initial", "unset", "none"):
        # What is placed freely may stand on anything.
        return None if declared.get("position") in ("absolute", "fixed") else around
    return around if named in ("inherit", "currentcolor") else colour_of(named)


def _is_colour(word: str) -> bool:
    return word.startswith(("#", "rgb")) or word in _NAMES


def same(ink: Colour | None, paper: Colour | None) -> bool:
    """Whether letters of one colour on the other cannot be told from it."""
    if isinstance(ink, tuple) and isinstance(paper, tuple):
        return all(abs(one - other) <= _ALIKE for one, other in zip(ink, paper, strict=True))
    return ink is not None and ink == paper


def transparent(colour: str) -> bool:
    """Whether nobody sees what is written in a colour."""
    if colour == "transparent":
        return True
    if colour.startswith(("rgb", "hsl")):
        parts = re.split(r"[\s,/]+", colour.partition("(")[2].rstrip(") "))
        return len(parts) == 4 and number_of(parts[3], 1.0) <= FAINT
    return re.fullmatch(r"#[0-9a-f]{3}0|#[0-9a-f]{6}00", colour) is not None


def number_of(text: str, otherwise: float) -> float:
    """A number or a share, without its unit."""
    found = NUMBER.fullmatch(text)
    if not found:
        return otherwise
    return float(found[1]) / (100 if found[2] == "%" else 1)
