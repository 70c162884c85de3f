"""What the schemas of the tables share; each schema stands beside its table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from storage.errors import RecordDamaged

__all__ = ["TIME", "decoding", "key_field", "strings", "unpacked"]

TIME = pa.timestamp("us", tz="UTC")

# Lance enforces no keys; a declared one makes concurrent merges of one new key conflict, not both insert it.
_KEY = {b"lance-schema:unenforced-primary-key": b"true"}


def key_field(name: str, kind: pa.DataType) -> Any:
    """The declared key of a table: never null."""
    return pa.field(name, kind, nullable=False, metadata=_KEY)


def strings(*names: str) -> list[Any]:
    """Columns of text that may be null."""
    return [pa.field(name, pa.string()) for name in names]


@contextmanager
def decoding(record: str) -> Iterator[None]:
    """Whatever shape damage gave to a record, it is one error that says which, and what mends it.

    Raises:
        RecordDamaged: The record lacks a field, or has one of another kind.
    """
    try:
        yield
    except RecordDamaged:
        raise
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise RecordDamaged(
            f"{record} is damaged ({type(error).__name__}); `tidemark maintain` sets aside what cannot be read, "
            "and says what"
        ) from None


def unpacked(record: str, text: str | None, empty: Any = None) -> Any:
    """Decode a column that is kept as JSON.

    Args:
        record: What it belongs to, for the error.
        text: The JSON.
        empty: Stands for a column that is null or empty.

    Raises:
        RecordDamaged: It is no JSON.
    """
    if not text:
        return empty
    with decoding(record):
        return json.loads(text)
