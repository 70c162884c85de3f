"""The inks of a report: each by its name, for a light page, for a dark one, and for a page of which nobody knows."""

from __future__ import annotations

__all__ = ["DARK", "INKS", "LIGHT", "NEUTRAL"]

# Contrast with its page is at least 4.5 for what is read, and 3 for what is drawn.
LIGHT = {
    "ink": "#1b2430",
    "quiet": "#556070",
    "grid": "#dde2e8",
    "page": "#f5f6f8",
    "card": "#ffffff",
    "blue": "#2861d8",
    "pale": "#a9c0ee",
    "green": "#17805a",
    "amber": "#9a6200",
    "red": "#c02f2a",
    "violet": "#7a4fc4",
    "teal": "#0f7f8c",
    "faint": "#8f9aa8",
}
DARK = {
    "ink": "#e8ecf1",
    "quiet": "#a3adba",
    "grid": "#333b46",
    "page": "#12161c",
    "card": "#1a2028",
    "blue": "#6c9cff",
    "pale": "#39507e",
    "green": "#45c292",
    "amber": "#e0a93e",
    "red": "#ff7b72",
    "violet": "#b294ee",
    "teal": "#4dbfcb",
    "faint": "#6b7685",
}
# On the dashboard a picture cannot know whether the page is light or dark: these are seen on both.
NEUTRAL = LIGHT | {
    "ink": "#7b8494",
    "quiet": "#7b8494",
    "grid": "#8c95a44d",
    "blue": "#4b83f0",
    "pale": "#4b83f066",
    "green": "#239a70",
    "amber": "#c07f12",
    "red": "#e0504a",
}
INKS = frozenset(LIGHT)
