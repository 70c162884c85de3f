"""The first sentence of a docstring, with the rest of it and the signature."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tasks.learn.kinds.base import Cut, Page
from tasks.learn.wording import first_sentence

__all__ = ["docstrings"]

_SIGNATURE = re.compile(r"(?:(?:async )?def [\w.]+\(|class [\w.]+|module [\w.]+)[^\n]*\n\s*")
_NO_SENTENCE = re.compile(r"[.:>\-*=#@|]|\w+ ?\n ?[-=~]{3,}|(?:Args|Returns|Raises|Parameters|Notes?|Examples?)\b")
_LEAST = 60  # characters beside the signature


def docstrings(page: Page) -> Iterator[Cut]:
    """Yield the first sentence behind a signature, with the text around it.

    A docstring that begins with a list, a directive or a section has no such sentence.
    """
    signature = _SIGNATURE.match(page.text)
    if signature is None:
        return
    body = page.text[signature.end() :]
    sentence = first_sentence(body)
    rest = len(body) - len(sentence)
    if not _NO_SENTENCE.match(body) and sentence.endswith((".", "!", "?")) and rest >= _LEAST:
        yield Cut(sentence, page.text)
