"""The queries that a document brings along, each with its text."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.learn.kinds.base import Cut, Page

__all__ = ["queries"]


def queries(page: Page) -> Iterator[Cut]:
    """Yield each query of the document with its text."""
    for query in page.queries:
        yield Cut(" ".join(query.split()), page.text)
