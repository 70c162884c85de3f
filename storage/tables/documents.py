"""The `documents` table: one row a document that a release holds, with its raw text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import polars as pl
import pyarrow as pa

from storage.tables.columns import TIME, key_field, strings
from storage.tables.keys import filter_in
from storage.tables.lookup import Bytes
from storage.tables.shortlist import Shortlist
from storage.tables.store import Store, read, stream

__all__ = ["DOCUMENTS", "EMPTY_LEDGER", "LEDGER", "TABLE", "DocumentTable", "append", "delete", "reset"]

TABLE = "documents"

# With its raw text: re-embedding never needs the source. Where the content is no text, `blob` says where its bytes lie.
DOCUMENTS = pa.schema(
    [
        key_field("key", pa.string()),
        *strings("source", "id", "revision", "content_hash", "record_hash", "judged", "duplicate_of"),
        pa.field("n_chunks", pa.int32()),
        *strings("title", "metadata", "licence"),
        pa.field("timestamp", TIME),
        pa.field("queries", pa.list_(pa.string())),
        *strings("text", "blob", "run"),
    ]
)

# The columns that decide work; small enough to hold for every document.
LEDGER = ["key", "source", "id", "revision", "content_hash", "record_hash", "judged", "duplicate_of", "n_chunks"]
EMPTY_LEDGER = pl.DataFrame(schema={name: pl.Int32 if name == "n_chunks" else pl.String for name in LEDGER})

FILE = 65_536  # rows of a file: half of what other tables have, for most of these many columns are hashes
ROWS = 256  # that are handed to Lance at once
FILTERED = 4_096  # keys that a filter names; for more of them the whole table is read


class DocumentTable:
    """The documents at one version of the table.

    Args:
        store: The store.
        version: Number or tag of the version; the head if None.

    Raises:
        TableMissing: The store has no such table, or not at that version.
    """

    def __init__(self, store: Store, version: int | str | None = None) -> None:
        self.dataset = store.open(TABLE, version)

    @property
    def version(self) -> int:
        """Number of the version."""
        return int(self.dataset.version)

    @property
    def rows(self) -> int:
        """How many documents it holds."""
        return int(self.dataset.count_rows())

    def ledger(self, columns: Sequence[str] = LEDGER) -> pl.DataFrame:
        """Every document without its text.

        Args:
            columns: Which of the LEDGER columns.
        """
        frame = pl.DataFrame(pl.from_arrow(read(self.dataset, DOCUMENTS, list(columns))))
        return frame.cast({name: EMPTY_LEDGER.schema[name] for name in columns})

    def slices(
        self, columns: list[str] | None = None, *, rows: int = 1_024, keys: pl.Series | None = None
    ) -> Iterator[pl.DataFrame]:
        """Read documents in order, slice by slice.

        Args:
            columns: Which columns, `key` among them where `keys` is given; if None all of DOCUMENTS, null
                where an older format has none.
            rows: Documents a slice, at most.
            keys: Which documents; all if None.
        """
        where = filter_in("key", keys) if keys is not None and len(keys) <= FILTERED else None
        wanted = None if keys is None else Shortlist(pl.DataFrame({"key": keys}, schema={"key": pl.String}), "key")
        for batch in stream(self.dataset, columns, rows=rows, where=where):
            part = pl.DataFrame(pl.from_arrow(batch))
            lacking = [] if columns is not None else [name for name in DOCUMENTS.names if name not in part.columns]
            part = part.with_columns(pl.lit(None).alias(name) for name in lacking)
            # Rows of the table that are asked for: a semi join drops what a long list could not name in a filter.
            if wanted is not None:
                part = part.join(wanted.of(part["key"]), on="key", how="semi", maintain_order="left")
            yield part

    def titles(self, keys: Iterable[str]) -> dict[str, str | None]:
        """The titles of some documents, by key."""
        wanted = sorted(keys)
        if not wanted:
            return {}
        found = self.dataset.scanner(columns=["key", "title"], filter=filter_in("key", wanted)).to_table()
        return {row["key"]: row["title"] for row in found.to_pylist()}

    def facts(self, key: str) -> dict[str, Any]:
        """One document without its text.

        Raises:
            KeyError: There is no such document.
        """
        columns = [name for name in self.dataset.schema.names if name != "text"]
        found = self.dataset.scanner(columns=columns, filter=filter_in("key", [key])).to_table().to_pylist()
        if not found:
            raise KeyError(key)
        return dict(found[0])


def reset(store: Store, version: int | None) -> None:
    """Take the head back to a pinned version, or empty it: what a killed or refused run wrote is forgotten."""
    store.reset(TABLE, DOCUMENTS, version)


def delete(store: Store, keys: Iterable[str] | Bytes) -> int:
    """Delete documents from the head; returns how many went."""
    return store.delete_keys(TABLE, "key", keys)


def append(store: Store, documents: Iterable[pl.DataFrame]) -> None:
    """Append documents to the head in one commit.

    Args:
        store: The store.
        documents: Slices with the columns of DOCUMENTS, and others that are left out.
    """
    # In few rows at once: texts are copied on their way, and documents may be long.
    batches = (batch for part in documents for few in part.iter_slices(ROWS) for batch in _batches(few))
    store.append(TABLE, DOCUMENTS, batches, rows=FILE)


def _batches(documents: pl.DataFrame) -> list[pa.RecordBatch]:
    return list(documents.select(DOCUMENTS.names).to_arrow().cast(DOCUMENTS).to_batches())
