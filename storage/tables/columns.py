"""What the schemas of the tables share, and the columns of documents and chunks."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

__all__ = ["DOCUMENTS", "LEDGER", "TIME", "UNITS", "chunks_schema", "key", "strings"]

TIME = pa.timestamp("us", tz="UTC")
# What `start` and `end` of a chunk count: of a text, of a picture, of a recording. Null says characters.
UNITS = ("characters", "region", "seconds")

# Lance enforces no keys; a declared one makes concurrent merges of one new key conflict, not both insert it.
_KEY = {b"lance-schema:unenforced-primary-key": b"true"}


def key(name: str, kind: pa.DataType) -> Any:
    """The column that names a row."""
    return pa.field(name, kind, nullable=False, metadata=_KEY)


def strings(*names: str) -> list[Any]:
    """Columns of text that may be null."""
    return [pa.field(name, pa.string()) for name in names]


# One row a document that the release holds, with its raw text: re-embedding never needs the source. Where the content
# is no text, `blob` says where its bytes lie.
DOCUMENTS = pa.schema(
    [
        key("key", pa.string()),
        *strings("source", "id", "revision", "content_hash", "record_hash", "judged", "duplicate_of"),
        pa.field("n_chunks", pa.int32()),
        *strings("title", "metadata", "licence"),
        pa.field("timestamp", TIME),
        pa.field("queries", pa.list_(pa.string())),
        *strings("text", "blob", "run"),
    ]
)

# The columns of `documents` that decide work; small enough to hold for every document.
LEDGER = ["key", "source", "id", "revision", "content_hash", "record_hash", "judged", "duplicate_of", "n_chunks"]


def chunks_schema(dimension: int) -> pa.Schema:
    """Schema of a chunk table: the span of a document, in one of UNITS, beside its vector of `dimension` float32."""
    return pa.schema(
        [
            key("id", pa.string()),
            *strings("key", "source", "document"),
            pa.field("ordinal", pa.int32()),
            pa.field("start", pa.int32()),
            pa.field("end", pa.int32()),
            *strings("unit"),
            pa.field("tokens", pa.int32()),
            *strings("hash", "text"),
            pa.field("vector", pa.list_(pa.float32(), dimension)),
        ]
    )
