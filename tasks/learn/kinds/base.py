"""What every kind of pair is cut from, and what it gives."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

__all__ = ["SIGNATURE", "Cut", "Kind", "Page"]

# How the text of a Python object begins.
SIGNATURE = re.compile(r"(?:(?:async )?def [\w.]+\(|class [\w.]+|module [\w.]+)[^\n]*\n\s*")


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
