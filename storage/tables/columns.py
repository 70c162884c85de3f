"""Arrow schemas of the tables, keys declared so that two writers cannot both insert one."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

__all__ = [
    "DOCUMENTS",
    "LEASES",
    "LEDGER",
    "QUARANTINE",
    "RELEASES",
    "RUNS",
    "chunks_schema",
    "vectors_schema",
    "vectors_table",
]

# Lance enforces no keys; a declared one makes concurrent merges of one new key conflict, not both insert it.
_KEY = {b"lance-schema:unenforced-primary-key": b"true"}
_TIME = pa.timestamp("us", tz="UTC")


def _key(name: str, kind: pa.DataType) -> Any:
    return pa.field(name, kind, nullable=False, metadata=_KEY)


def _strings(*names: str) -> list[Any]:
    return [pa.field(name, pa.string()) for name in names]


# One row a document that the release holds, with its raw text: re-embedding never needs the source.
DOCUMENTS = pa.schema(
    [
        _key("key", pa.string()),
        *_strings("source", "id", "revision", "content_hash", "record_hash", "judged", "duplicate_of"),
        pa.field("n_chunks", pa.int32()),
        *_strings("title", "metadata", "licence"),
        pa.field("timestamp", _TIME),
        pa.field("queries", pa.list_(pa.string())),
        pa.field("text", pa.string()),
        *_strings("run"),
    ]
)

# The columns of `documents` that decide work; small enough to hold for every document.
LEDGER = ["key", "source", "id", "revision", "content_hash", "record_hash", "judged", "duplicate_of", "n_chunks"]

QUARANTINE = pa.schema(
    [
        _key("key", pa.string()),
        *_strings("source", "document", "revision", "rule", "rule_version", "reason", "judged", "excerpt"),
        pa.field("attempts", pa.int32()),
        pa.field("first_seen", _TIME),
        pa.field("last_seen", _TIME),
        *_strings("run"),
        pa.field("defect", pa.bool_()),  # broken, rather than unwanted; null in rows of before this column
        pa.field("stale_since", _TIME),  # since when the document's last good version stands in; null where none does
    ]
)

RUNS = pa.schema(
    [
        _key("run", pa.string()),
        *_strings("kind", "trigger", "outcome", "message"),
        pa.field("started", _TIME),
        pa.field("finished", _TIME),
        pa.field("token", pa.int64()),
        pa.field("base", pa.int64()),
        pa.field("release", pa.int64()),
        *_strings("host", "config", "code", "libraries", "data", "model", "counts", "seconds"),
    ]
)

RELEASES = pa.schema(
    [
        _key("seq", pa.int64()),
        pa.field("created", _TIME),
        *_strings("outcome", "run", "space", "tag"),
        pa.field("restored", pa.int64()),
        *_strings("tables", "encoder", "counts", "audit", "index", "config", "chunker", "code", "message", "roles"),
    ]
)

LEASES = pa.schema(
    [
        _key("token", pa.int64()),
        *_strings("holder", "machine", "host", "run"),
        pa.field("pid", pa.int64()),
        pa.field("pid_started", pa.string()),
        pa.field("acquired", _TIME),
        pa.field("renewed", _TIME),
        pa.field("released", pa.bool_()),
    ]
)


def vectors_table(space: str) -> str:
    """Name of the staging table that keeps the finished vectors of an unfinished run."""
    return f"vectors__{space[:16]}"


def chunks_schema(dimension: int) -> pa.Schema:
    """Schema of a chunk table: the span of a document beside its vector of `dimension` float32."""
    return pa.schema(
        [
            _key("id", pa.string()),
            *_strings("key", "source", "document"),
            pa.field("ordinal", pa.int32()),
            pa.field("start", pa.int32()),
            pa.field("end", pa.int32()),
            pa.field("tokens", pa.int32()),
            *_strings("hash", "text"),
            pa.field("vector", pa.list_(pa.float32(), dimension)),
        ]
    )


def vectors_schema(dimension: int) -> pa.Schema:
    """Schema of a staging table: content hash and vector."""
    return pa.schema([pa.field("hash", pa.string()), pa.field("vector", pa.list_(pa.float32(), dimension))])
