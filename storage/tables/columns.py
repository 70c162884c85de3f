"""What the schemas of the tables share; each schema stands beside its table."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

__all__ = ["TIME", "key_field", "strings"]

TIME = pa.timestamp("us", tz="UTC")

# Lance enforces no keys; a declared one makes concurrent merges of one new key conflict, not both insert it.
_KEY = {b"lance-schema:unenforced-primary-key": b"true"}


def key_field(name: str, kind: pa.DataType) -> Any:
    """The declared key of a table: never null."""
    return pa.field(name, kind, nullable=False, metadata=_KEY)


def strings(*names: str) -> list[Any]:
    """Columns of text that may be null."""
    return [pa.field(name, pa.string()) for name in names]
