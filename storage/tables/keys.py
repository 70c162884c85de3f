"""Filters on the keys of tables, which are hashes."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["filter_in"]

_HEX = re.compile(r"[0-9a-f]+")


def filter_in(column: str, keys: Iterable[str]) -> str:
    """A filter on hash columns; only hexadecimal text gets in, so nothing that a user wrote can.

    Raises:
        ValueError: A key is not hexadecimal.
    """
    checked = list(keys)
    for key in checked:
        if not _HEX.fullmatch(key):
            raise ValueError(f"filter on {column!r}: {key!r} is not a hash")
    return f"{column} IN ({','.join(repr(key) for key in checked)})" if checked else "false"
