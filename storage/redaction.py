"""Keeps what may be a secret out of what is printed, logged or recorded."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterator
from typing import Any

__all__ = ["MASK", "Discreet", "hide", "leaves", "mask", "redact", "redacted", "telling"]

MASK = "***"
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
_PARAMETER = re.compile(r"(?i)(?<=[?&;])([\w.-]*(?:token|secret|password|signature|sig|credential|key)=)[^&#;\s'\"]+")
_KEY = re.compile(r"(?i)(?:^|[_-])(?:password|secret|token|key|credentials?)$")
_WORD = re.compile(r"[^\s'\"<>]+")
_LEAST = 8  # characters: a shorter word would be hidden wherever it is meant innocently

_hidden: set[str] = set()  # what this process knows to be secret, wherever it turns up


def hide(values: Collection[str]) -> None:
    """Keep some texts out of all that is shown from now on, in whatever message they turn up.

    Args:
        values: Secrets; those of less than eight characters are left out.
    """
    _hidden.update(value for value in values if len(value) >= _LEAST)


def mask(content: dict[str, Any], shown: Collection[str]) -> dict[str, Any]:
    """Replace every value but those under some keys, which are redacted as any other text.

    Args:
        content: What JSON can hold, by key.
        shown: Keys whose values are no secrets.
    """
    return {name: redact(value, name) if name in shown or value is None else MASK for name, value in content.items()}


def leaves(value: Any) -> Iterator[str]:
    """Every text in what JSON can hold."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list | tuple):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from leaves(inner)


def telling(value: Any, key: str = "") -> Iterator[str]:
    """Every text that lies under a key that sounds like a secret, at any depth."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from telling(inner, str(name))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from telling(inner, key)
    elif isinstance(value, str) and _KEY.search(key):
        yield value


def redact(value: Any, key: str = "") -> Any:
    """Replace what may be a secret, at any depth: parts of URLs, and text under a key that sounds like one.

    Args:
        value: What JSON can hold.
        key: The key that it lies under.
    """
    if isinstance(value, dict):
        return {name: redact(inner, str(name)) for name, inner in value.items()}
    if isinstance(value, list):
        return [redact(inner, key) for inner in value]
    if not isinstance(value, str):
        return value
    return MASK if _KEY.search(key) else redacted(value)


def redacted(text: str) -> str:
    """Replace what is hidden, and of every URL user, password, query and fragment: any parameter may be a secret."""
    for secret in _hidden:
        text = text.replace(secret, MASK)
    text = _WORD.sub(_bare, text) if "://" in text else text
    return _PARAMETER.sub(rf"\1{MASK}", _CREDENTIALS.sub(f"{MASK}@", text))


class Discreet(logging.Filter):
    """Redacts each line of a log, and the traceback below it."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Replace the message by its redacted form."""
        record.msg, record.args = redacted(record.getMessage()), None
        if record.exc_info:
            record.exc_text = redacted(logging.Formatter().formatException(record.exc_info))
        return True


def _bare(found: re.Match[str]) -> str:
    """A word without the query of the URL in it; what closes the phrase around it stays."""
    word = found[0]
    at = word.find("://")
    begins = min((place for mark in "?#" if (place := word.find(mark, at)) >= 0), default=-1)
    if at < 0 or begins < 0:
        return word
    rest = word[begins + 1 :]
    body = rest.rstrip(")]},.:;")
    return word[: begins + 1] + (MASK if body else "") + rest[len(body) :]
