"""Kinds of pairs that the structure of a document gives: one small file a kind, and the table of them."""

from __future__ import annotations

from tasks.learn.kinds.base import Cut, Kind, Page
from tasks.learn.kinds.docstrings import docstrings
from tasks.learn.kinds.headings import headings
from tasks.learn.kinds.queries import queries
from tasks.learn.kinds.titles import titles

__all__ = ["KINDS", "Cut", "Kind", "Page"]

# Of two kinds that ask the same of one document, the first is kept.
KINDS: dict[str, Kind] = {
    "queries": queries,
    "docstrings": docstrings,
    "headings": headings,
    "titles": titles,
}
