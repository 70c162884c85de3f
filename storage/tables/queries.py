"""The `queries__<space>` tables: what was asked of the index, appended by readers, and the files that were read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from storage.tables.columns import TIME, key_field, strings
from storage.tables.offsets import Rows
from storage.tables.store import Store, read
from storage.tables.vectors import as_vectors

if TYPE_CHECKING:
    import lance

__all__ = ["FILES", "FILES_TABLE", "LOGGED", "PREFIX", "Logged", "Position", "Queries", "Query", "QueryFiles"]

PREFIX = "queries__"
FILES_TABLE = "query_files"
# A reader holds a version for the milliseconds of one read, but may be stopped or slow in it.
_YOUNG = timedelta(hours=1)

# What is read of every logged query; vectors are so much more that only those of a sample are.
LOGGED = pl.Schema(
    [
        ("row", pl.Int64()),
        ("id", pl.String()),
        ("time", pl.Datetime("us", "UTC")),
        ("origin", pl.String()),
        ("text", pl.String()),
        ("hash", pl.String()),
        ("best", pl.Float32()),
        ("clicked", pl.Boolean()),
        ("encoded", pl.Boolean()),
    ]
)
_LIGHT = [name for name in LOGGED if name not in {"row", "encoded"}]

FILES = pa.schema(
    [
        key_field("file", pa.string()),
        *strings("path", "head"),
        pa.field("size", pa.int64()),
        pa.field("offset", pa.int64()),
        pa.field("updated", TIME),
    ]
)


@dataclass(frozen=True)
class Query:
    """One query.

    Attributes:
        id: Its own: a line of a file that is read twice has the same.
        time: When it was asked.
        release: The release that answered it.
        origin: `search`, or `file` where another application wrote it down.
        mode: How it was searched: dense, text or hybrid.
        best: Cosine similarity of the nearest chunk; None where vectors were not compared.
        k: Hits that were asked for.
        documents: Keys of the documents that were found, best first.
        clicked: Whether a hit was opened; None where nobody tells.
        text: What was asked; None where it is not to be kept.
        hash: Of the text; None where it is not to be kept.
        vector: float32 of shape (dimension,); None where it was not encoded.
    """

    id: str
    time: datetime
    release: int
    origin: str
    mode: str
    best: float | None
    k: int
    documents: tuple[str, ...] = ()
    clicked: bool | None = None
    text: str | None = None
    hash: str | None = None
    vector: npt.NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Logged:
    """The queries of one space as they stood at one moment.

    Attributes:
        frame: LOGGED, each query once, oldest first.
        table: The version of the table that `row` counts in; None where nothing was logged.
    """

    frame: pl.DataFrame
    table: lance.LanceDataset | None = None

    def vectors(self, rows: pl.Series) -> npt.NDArray[np.float32]:
        """Vectors of some queries that are encoded.

        Args:
            rows: Their `row`.

        Returns:
            Shape (n, dimension), in the order of the rows.
        """
        if self.table is None or rows.is_empty():
            return np.empty((0, 0), dtype=np.float32)
        wanted, inverse = np.unique(rows.to_numpy(), return_inverse=True)
        found = as_vectors(Rows(self.table).at(wanted.tolist(), ["vector"])["vector"])
        return np.asarray(found[inverse], dtype=np.float32)


class Queries:
    """The log of the queries of one space; rows are only appended, and go when they are old.

    Readers write it, many at once and without a lease: an append conflicts with no other append.

    Args:
        store: The store.
        space: Id of the space of the encoder.
    """

    def __init__(self, store: Store, space: str) -> None:
        self.store, self.space = store, space
        self.name = f"{PREFIX}{space[:16]}"

    def add(self, queries: Sequence[Query], dimension: int) -> None:
        """Append queries in one commit: all of them, or none.

        Args:
            queries: The queries.
            dimension: Of the space.
        """
        if queries:
            schema = _schema(dimension)
            columns = [_column(field, queries, self.space) for field in schema]
            self.store.append(self.name, schema, iter([pa.record_batch(columns, schema=schema)]))

    def read(self) -> Logged:
        """Everything that is logged, without its vectors."""
        table = self.store.find(self.name)
        if table is None:
            return Logged(pl.DataFrame(schema=LOGGED))
        columns = {name: name for name in _LIGHT} | {"encoded": "vector IS NOT NULL"}
        rows = pl.DataFrame(pl.from_arrow(table.to_table(columns=columns)))
        frame = rows.with_row_index("row").with_columns(pl.col("row").cast(pl.Int64)).select(LOGGED.names())
        # A run that was killed before it noted how far it had read a file reads its lines again, under the same ids.
        return Logged(frame.unique("id", keep="first").sort("time", "id"), table)

    def forget(self, before: datetime, most: int) -> int:
        """Delete the queries before a moment, and the oldest beyond a number; the caller holds the lease.

        The rows go from the files too: what was rewritten or emptied leaves them an hour later, with the next call.

        Args:
            before: The moment, with time zone.
            most: Rows that may stay.

        Returns:
            How many queries went.
        """
        table = self.store.find(self.name)
        if table is None:
            return 0
        times = np.sort(table.to_table(columns=["time"])["time"].to_numpy())
        if len(times) > most:
            before = max(before, _moment(times[len(times) - most]))
        gone = int(table.delete(f"time < timestamp '{before:%Y-%m-%d %H:%M:%S.%f}'")["num_deleted_rows"])
        if gone:
            self.store.open(self.name).optimize.compact_files(
                target_rows_per_fragment=1_024, materialize_deletions_threshold=0.0
            )
        self.store.vacuum(self.name, _YOUNG)
        return gone


@dataclass(frozen=True)
class Position:
    """How far a file of queries was read.

    Attributes:
        file: Identity of the file on its disk, which moving it does not change.
        path: Where it lay.
        head: Digest of its first bytes: another one in the same place is read from its start.
        size: How many bytes that digest is of.
        offset: Bytes that were read.
    """

    file: str
    path: str
    head: str
    size: int
    offset: int


class QueryFiles:
    """How far each file of queries was read."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def all(self) -> dict[str, Position]:
        """File to position."""
        table = self.store.find(FILES_TABLE)
        rows = [] if table is None else read(table, FILES).to_pylist()
        return {row["file"]: Position(**{name: row[name] for name in Position.__annotations__}) for row in rows}

    def set(self, positions: Mapping[str, Position], now: datetime) -> None:
        """Note how far files were read."""
        rows: list[dict[str, Any]] = [vars(each) | {"updated": now} for each in positions.values()]
        if rows:
            self.store.upsert(FILES_TABLE, FILES, "file", rows)


def _schema(dimension: int) -> pa.Schema:
    return pa.schema(
        [
            *strings("id"),
            pa.field("time", TIME),
            pa.field("release", pa.int64()),
            *strings("space", "origin", "mode", "text", "hash"),
            pa.field("best", pa.float32()),
            pa.field("k", pa.int32()),
            pa.field("documents", pa.list_(pa.string())),
            pa.field("clicked", pa.bool_()),
            pa.field("vector", pa.list_(pa.float32(), dimension)),
        ]
    )


def _column(field: Any, queries: Sequence[Query], space: str) -> Any:
    if field.name == "space":
        return pa.array([space] * len(queries), field.type)
    values = [getattr(query, field.name) for query in queries]
    if field.name != "vector":
        return pa.array(values, field.type)
    width = field.type.list_size
    known = np.array([value is not None for value in values])
    flat = np.zeros((len(values), width), dtype=np.float32)
    if known.any():
        flat[known] = np.stack([value for value in values if value is not None])
    return pa.FixedSizeListArray.from_arrays(pa.array(flat.ravel()), width, mask=pa.array(~known))


def _moment(time: np.datetime64) -> datetime:
    found: datetime = time.astype("datetime64[us]").item()
    return found.replace(tzinfo=UTC)
