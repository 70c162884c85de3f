"""A document's title, with its text."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.learn.kinds.base import Cut, Page

__all__ = ["titles"]


def titles(page: Page) -> Iterator[Cut]:
    """Yield the title with the text."""
    if page.title:
        yield Cut(" ".join(page.title.split()), page.text)
