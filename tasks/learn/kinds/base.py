"""What every kind of pair is cut from, and what it gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

__all__ = ["Cut", "Kind", "Page"]


class Page(NamedTuple):
    """What of a document pairs are cut from."""

    title: str
    text: str
    queries: Sequence[str] = ()


class Cut(NamedTuple):
    """A question, and what answers it; whoever takes it removes the words of the question from the passage."""

    question: str
    passage: str


Kind = Callable[[Page], Iterator[Cut]]
