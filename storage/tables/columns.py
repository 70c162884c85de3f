"""Arrow schemas of the tables, keys declared so that two writers cannot both insert one."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

__all__ = [
    "LEASES",
    "QUARANTINE",
    "RELEASES",
    "RUNS",
    "TIME",
    "key_field",
    "strings",
    "vectors_schema",
    "vectors_table",
]

# Lance enforces no keys; a declared one makes concurrent merges of one new key conflict, not both insert it.
_KEY = {b"lance-schema:unenforced-primary-key": b"true"}
TIME = pa.timestamp("us", tz="UTC")


def key_field(name: str, kind: pa.DataType) -> Any:
    """The declared key of a table: never null."""
    return pa.field(name, kind, nullable=False, metadata=_KEY)


def strings(*names: str) -> list[Any]:
    """Columns of text."""
    return [pa.field(name, pa.string()) for name in names]


QUARANTINE = pa.schema(
    [
        key_field("key", pa.string()),
        *strings("source", "document", "revision", "rule", "rule_version", "reason", "judged", "excerpt"),
        pa.field("attempts", pa.int32()),
        pa.field("first_seen", TIME),
        pa.field("last_seen", TIME),
        *strings("run"),
    ]
)

RUNS = pa.schema(
    [
        key_field("run", pa.string()),
        *strings("kind", "trigger", "outcome", "message"),
        pa.field("started", TIME),
        pa.field("finished", TIME),
        pa.field("token", pa.int64()),
        pa.field("base", pa.int64()),
        pa.field("release", pa.int64()),
        *strings("host", "config", "code", "libraries", "data", "model", "counts", "seconds"),
    ]
)

RELEASES = pa.schema(
    [
        key_field("seq", pa.int64()),
        pa.field("created", TIME),
        *strings("outcome", "run", "space", "tag"),
        pa.field("restored", pa.int64()),
        *strings("tables", "encoder", "counts", "audit", "index", "config", "chunker", "code", "message", "roles"),
    ]
)

LEASES = pa.schema(
    [
        key_field("token", pa.int64()),
        *strings("holder", "machine", "host", "run"),
        pa.field("pid", pa.int64()),
        pa.field("pid_started", pa.string()),
        pa.field("acquired", TIME),
        pa.field("renewed", TIME),
        pa.field("released", pa.bool_()),
    ]
)


def vectors_table(space: str) -> str:
    """Name of the staging table that keeps the finished vectors of an unfinished run."""
    return f"vectors__{space[:16]}"


def vectors_schema(dimension: int) -> pa.Schema:
    """Schema of a staging table: content hash and vector."""
    return pa.schema([pa.field("hash", pa.string()), pa.field("vector", pa.list_(pa.float32(), dimension))])
