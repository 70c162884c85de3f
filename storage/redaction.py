"""Keeps what may be a secret out of what is printed, logged or recorded."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["redact", "redacted"]

_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
_PARAMETER = re.compile(r"(?i)(?<=[?&;])([\w.-]*(?:token|secret|password|signature|sig|credential|key)=)[^&#;\s'\"]+")
_KEY = re.compile(r"(?i)(?:^|[_-])(?:password|secret|token|key|credentials?)$")


def redact(value: Any, key: str = "") -> Any:
    """Replace what may be a secret, at any depth: credentials in URLs, and text under a key that sounds like one.

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
    return "***" if _KEY.search(key) else redacted(value)


def redacted(text: str) -> str:
    """Replace user, password and secret parameters of every URL in a text."""
    return _PARAMETER.sub(r"\1***", _CREDENTIALS.sub("***@", text))
