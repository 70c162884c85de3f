"""A chunk table: one row a span of a document, with its vector."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from storage.tables.columns import key_field, strings
from storage.tables.keys import filter_in
from storage.tables.lookup import Bytes
from storage.tables.offsets import Rows
from storage.tables.origins import written_since
from storage.tables.roles import Precision
from storage.tables.store import Store, stream
from storage.tables.vectors import as_vectors

__all__ = ["PLACE", "UNITS", "ChunkTable", "Span", "Unit", "append", "chunks_schema", "delete", "reset"]

Unit = Literal["characters", "region", "seconds"]
UNITS: tuple[Unit, ...] = get_args(Unit)

PLACE = ["id", "ordinal", "start", "end"]  # what tells whether a row must be written again
CACHE = 16 * 2**20  # bytes of an index that stay in memory
ASKED = 2_000  # ids that one filter names
TYPES: dict[Precision, Any] = {"float32": pa.float32(), "float16": pa.float16()}


@dataclass(frozen=True)
class Span:
    """The part of a document that a chunk stands for.

    Attributes:
        start: Where it begins, in the unit.
        end: Where it ends; what lies at `end` itself is outside.
        unit: What is counted: characters of a text, the region of an image in reading order, or seconds of sound.
    """

    start: float
    end: float
    unit: Unit = "characters"

    def of(self, text: str) -> str:
        """The characters of a text that lie in the span.

        Raises:
            ValueError: The span counts something else.
        """
        if self.unit != "characters":
            raise ValueError(f"a span of {self.unit} has no text")
        return text[int(self.start) : int(self.end)]


def chunks_schema(dimension: int, precision: Precision = "float32") -> pa.Schema:
    """Schema of a chunk table: the span of a document beside its vector of `dimension` numbers of a precision.

    A null unit, as older formats wrote it, says characters.
    """
    return pa.schema(
        [
            key_field("id", pa.string()),
            *strings("key", "source", "document"),
            pa.field("ordinal", pa.int32()),
            pa.field("start", pa.int32()),
            pa.field("end", pa.int32()),
            *strings("unit"),
            pa.field("tokens", pa.int32()),
            *strings("hash", "text"),
            pa.field("vector", pa.list_(TYPES[precision], dimension)),
        ]
    )


class ChunkTable:
    """The chunks of one space at one version of their table.

    Args:
        store: The store.
        name: Name of the table.
        version: Number or tag of the version; the head if None.

    Raises:
        TableMissing: The store has no such table, or not at that version.
    """

    def __init__(self, store: Store, name: str, version: int | str | None = None) -> None:
        self.dataset = store.open(name, version)
        self._rows = Rows(self.dataset)

    @property
    def version(self) -> int:
        """Number of the version."""
        return int(self.dataset.version)

    @property
    def rows(self) -> int:
        """How many chunks it holds."""
        return int(self.dataset.count_rows())

    @property
    def dimension(self) -> int:
        """Length of its vectors."""
        return int(self.dataset.schema.field("vector").type.list_size)

    @property
    def precision(self) -> Precision:
        """In what it keeps its vectors."""
        kept = self.dataset.schema.field("vector").type.value_type
        return "float16" if pa.types.is_float16(kept) else "float32"

    def sparing(self) -> Self:
        """The same table, of whose indexes little is kept between two searches.

        Lance keeps all cells that any search looked into: of a million chunks 70 MiB, for searches that are made once.
        """
        import lance

        found = copy(self)
        found.dataset = lance.dataset(self.dataset.uri, version=self.version, index_cache_size_bytes=CACHE)
        return found

    def columns(self, names: list[str], *, rows: int = 65_536) -> Iterator[pl.DataFrame]:
        """Read some columns of every chunk in order, slice by slice; vectors as float32, whatever they are kept in.

        Args:
            names: Which columns.
            rows: Chunks a slice, at most.
        """
        for batch in stream(self.dataset, names, rows=rows):
            part = pl.DataFrame(pl.from_arrow(batch))
            if "vector" in names and self.precision != "float32":
                # Sums of 16 bits would lose more than what was rounded away when it was kept.
                part = part.with_columns(pl.Series("vector", as_vectors(batch.column("vector"))))
            yield part

    def of(self, keys: Iterable[str], columns: list[str]) -> pl.DataFrame:
        """Some columns of the chunks of some documents.

        Args:
            keys: Keys of the documents.
            columns: Which columns.
        """
        # With little read ahead: for a filter Lance may read the whole column.
        found = list(stream(self.dataset, columns, where=filter_in("key", keys)))
        schema = pa.schema([self.dataset.schema.field(name) for name in columns])
        return pl.DataFrame(pl.from_arrow(pa.Table.from_batches(found, schema)))

    def some(self, ids: Iterable[str], columns: list[str]) -> Iterator[dict[str, Any]]:
        """Some columns of some chunks, in no order.

        Args:
            ids: Ids of the chunks, each once.
            columns: Which columns.
        """
        wanted = list(ids)
        for at in range(0, len(wanted), ASKED):
            few = filter_in("id", wanted[at : at + ASKED])
            found = self.dataset.scanner(columns=columns, filter=few).to_table()
            yield from found.to_pylist()

    def vectors_of(self, ids: Iterable[str]) -> tuple[list[str], npt.NDArray[np.float32]]:
        """The vectors of some chunks.

        Args:
            ids: Ids of the chunks, each once.

        Returns:
            The ids in the order of the table, and float32 of shape (ids, dimension).
        """
        wanted = list(ids)
        found: list[str] = []
        parts = [np.empty((0, self.dimension), dtype=np.float32)]
        for at in range(0, len(wanted), ASKED):
            few = filter_in("id", wanted[at : at + ASKED])
            rows = self.dataset.scanner(columns=["id", "vector"], filter=few, scan_in_order=True).to_table()
            found += map(str, rows["id"].to_pylist())
            parts.append(as_vectors(rows["vector"]))
        return found, np.concatenate(parts)

    def vectors(self, *, without: int | None = None) -> Iterator[npt.NDArray[np.float32]]:
        """Every vector in order, as float32 of shape (rows, dimension) a slice.

        Args:
            without: Version of the table whose files are left out; None to read all.
        """
        fragments = None if without is None else written_since(self.dataset, self.dataset.checkout_version(without))
        if fragments == []:  # which Lance takes for all of them
            return
        for batch in stream(self.dataset, ["vector"], fragments=fragments):
            yield as_vectors(batch.column("vector"))

    def take(self, offsets: Iterable[int]) -> npt.NDArray[np.float32]:
        """The vectors at some offsets, as float32 of shape (offsets, dimension)."""
        return as_vectors(self._rows.at(offsets, ["vector"]).column("vector"))

    def at(self, offsets: Iterable[int], columns: list[str]) -> pl.DataFrame:
        """Some columns of the chunks at some offsets, in that order."""
        return pl.DataFrame(pl.from_arrow(self._rows.at(offsets, columns)))

    def offsets(self, keys: Iterable[str], most: int) -> list[int]:
        """Where the first chunks of some documents lie, in order.

        It reads the column of keys alone: a filter may make Lance read all vectors with it.

        Args:
            keys: Keys of the documents.
            most: Chunks, at most.
        """
        wanted = pl.Series("key", sorted(set(keys)), dtype=pl.String)
        at, found = 0, list[int]()
        for part in self.columns(["key"]) if len(wanted) else ():
            found += [at + offset for offset in part["key"].is_in(wanted.implode()).arg_true().to_list()]
            at += part.height
            if len(found) >= most:
                break
        return found[:most]

    def sample(self, offsets: Iterable[int], columns: list[str]) -> tuple[pl.DataFrame, npt.NDArray[np.float32]]:
        """Some columns of the chunks at some offsets, and their vectors of shape (offsets, dimension)."""
        found = self._rows.at(offsets, [*columns, "vector"])
        return pl.DataFrame(pl.from_arrow(found.select(columns))), as_vectors(found.column("vector"))

    def facts(self, chunk: str) -> dict[str, Any]:
        """One chunk without its vector.

        Raises:
            KeyError: There is no such chunk.
        """
        columns = [name for name in self.dataset.schema.names if name != "vector"]
        try:
            where = filter_in("id", [chunk])
        except ValueError:  # what is no hash is no id
            raise KeyError(chunk) from None
        found = self.dataset.scanner(columns=columns, filter=where).to_table().to_pylist()
        if not found:
            raise KeyError(chunk)
        return dict(found[0])

    def alike(self, prefix: str, limit: int) -> list[str]:
        """Ids that begin so, in order, at most `limit` of them; none where that is no beginning of an id."""
        try:
            filter_in("id", [prefix])  # what is no hexadecimal text gets into no filter
        except ValueError:
            return []
        found = self.dataset.scanner(columns=["id"], filter=f"starts_with(id, '{prefix}')", limit=limit).to_table()
        return sorted(map(str, found["id"].to_pylist()))


def reset(store: Store, table: str, dimension: int, version: int | None, precision: Precision = "float32") -> None:
    """Take the head back to a pinned version, or empty it: what a killed or refused run wrote is forgotten."""
    store.reset(table, chunks_schema(dimension, precision), version)


def delete(store: Store, table: str, *, ids: Iterable[str] | Bytes = (), keys: Iterable[str] | Bytes = ()) -> int:
    """Delete chunks from the head, by their id or by the key of their document; returns how many went."""
    return store.delete_keys(table, "id", ids) + store.delete_keys(table, "key", keys)


def append(
    store: Store,
    table: str,
    dimension: int,
    chunks: Iterable[tuple[pl.DataFrame, np.ndarray]],
    precision: Precision = "float32",
) -> None:
    """Append chunks to the head in one commit.

    Args:
        store: The store.
        table: Name of the table.
        dimension: Length of the vectors.
        chunks: Slices: the columns of a chunk table but for the vector, and float32 of shape (rows, dimension).
        precision: In what the table keeps the vectors.
    """
    schema = chunks_schema(dimension, precision)
    store.append(table, schema, (_batch(rows, vectors, schema) for rows, vectors in chunks))


def _batch(rows: pl.DataFrame, vectors: np.ndarray, schema: pa.Schema) -> pa.RecordBatch:
    kind = schema.field("vector").type
    flat = pa.array(np.ascontiguousarray(vectors, dtype=kind.value_type.to_pandas_dtype()).ravel())
    column = pa.FixedSizeListArray.from_arrays(flat, kind.list_size)
    plain = [rows[name].to_arrow().cast(schema.field(name).type) for name in schema.names[:-1]]
    return pa.RecordBatch.from_arrays([*plain, column], schema=schema)
