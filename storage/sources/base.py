"""What every source is: two table shapes, one protocol, one configuration, bounded slices."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import polars as pl

from storage.sources.config import SourceConfig

__all__ = [
    "DOCUMENTS",
    "FORBIDDEN",
    "LISTING",
    "NO_BLOB",
    "OPTIONAL",
    "SLICE_BYTES",
    "SLICE_ROWS",
    "Blob",
    "Content",
    "Document",
    "Item",
    "Place",
    "Source",
    "SourceConfig",
    "Wanted",
    "digest",
    "document_slices",
    "listing_slices",
    "located",
    "regrouped",
    "row_revisions",
]

LISTING = pl.Schema({"id": pl.String, "revision": pl.String, "bytes": pl.Int64, "problem": pl.String})
_DOCUMENT_FIELDS: dict[str, pl.DataType | type[pl.DataType]] = {
    "id": pl.String,
    "text": pl.String,
    "title": pl.String,
    "metadata": pl.String,
    "licence": pl.String,
    "timestamp": pl.Datetime("us", "UTC"),
    "queries": pl.List(pl.String),
    "revision": pl.String,
    "problem": pl.String,
    "blob": pl.String,
    "untimed": pl.String,  # what is wrong with a time that could not be read, and is null therefore
}
DOCUMENTS = pl.Schema(_DOCUMENT_FIELDS)
NO_BLOB = pl.lit(None, pl.String).alias("blob")  # the column of a source of texts
OPTIONAL = ("blob", "untimed")  # columns that a source may leave out

# How a problem begins where a source must not have what it lists, whatever is in it: an earlier version goes too.
FORBIDDEN = "may not be taken in: "

SLICE_ROWS = 2_000
SLICE_BYTES = 16 * 1024 * 1024
LISTING_ROWS = 20_000


@runtime_checkable
class Source(Protocol):
    """Where documents come from. The class takes `(config, base_dir)`."""

    name: str

    def list(self) -> Iterator[pl.DataFrame]:
        """Yield what there is as slices of the `LISTING` shape, in a stable order, cheaply."""
        ...

    def read(self, ids: pl.Series) -> Iterator[pl.DataFrame]:
        """Yield the documents with these ids as bounded slices of the `DOCUMENTS` shape, `OPTIONAL` columns or none.

        Ids that are gone since the listing are absent. One call with many ids costs one pass over the source.
        """
        ...


class Item(NamedTuple):
    """One row of a listing."""

    id: str
    revision: str
    bytes: int | None = None
    problem: str | None = None


class Place(NamedTuple):
    """Where a document stands, for whoever wants to open it.

    Attributes:
        file: The file, absolute or relative to the configuration's folder, or its URL.
        line: Where the document begins in it, from 1; None where it is the whole file, or the file has no lines.
        row: The row, where rows are counted instead.
        text: The text of the file where the document is all of it, line by line; None where it was made of markup.
    """

    file: str
    line: int | None = None
    row: int | None = None
    text: str | None = None


class Blob(str):
    """A reference to content that is no text: where its bytes lie, as a path or an URL."""

    __slots__ = ()


Content = str | Blob
"""What a document holds: its text, or a reference to the bytes of an image or a recording."""


class Document(NamedTuple):
    """One document as read, its fields in the order of `DOCUMENTS`; content that is no text stands in `blob` alone."""

    id: str
    text: str
    title: str | None
    metadata: str
    licence: str | None
    timestamp: datetime | None
    queries: Sequence[str]
    revision: str
    problem: str | None = None
    blob: Blob | None = None
    untimed: str | None = None

    @property
    def content(self) -> Content:
        """The text, or the reference where there is one."""
        return self.text if self.blob is None else self.blob


class Wanted:
    """The ids that a read asks for, at 8 bytes each.

    Membership is decided by a 64-bit hash, so that a read of millions of ids costs no Python set. A foreign id that
    collides (about once in 10^7 reads of a million rows) is read in vain, never lost.
    """

    def __init__(self, ids: pl.Series) -> None:
        self._hashes = np.sort(ids.cast(pl.String).hash().to_numpy())

    def mask(self, ids: pl.Series) -> pl.Series:
        """Tell which of `ids` are wanted."""
        if not len(self._hashes):
            return pl.Series([False], dtype=pl.Boolean).new_from_index(0, len(ids))
        hashes = ids.hash().to_numpy()
        at = np.minimum(np.searchsorted(self._hashes, hashes), len(self._hashes) - 1)
        return pl.Series(self._hashes[at] == hashes) & ids.is_not_null()


def digest(*parts: bytes | memoryview) -> str:
    """Hash byte strings, each with its length so that none runs into the next, to 16 hex characters."""
    hasher = hashlib.blake2b(digest_size=8)
    for part in parts:
        hasher.update(b"%d:" % len(part))
        hasher.update(part)
    return hasher.hexdigest()


def row_revisions(rows: pl.DataFrame) -> pl.Series:
    """Hash the content of each document, 16 hex characters of BLAKE2b.

    The canonical form is our own: every value as its length in bytes, a colon and itself, `-` for null. It depends on
    no library's hash, so that revisions survive an upgrade.

    Args:
        rows: Rows with the columns of `DOCUMENTS` except `revision` and `problem`.
    """
    microseconds = rows["timestamp"].dt.epoch("us").cast(pl.String)
    queries = pl.Series(
        ["".join(f"{len(query.encode())}:{query}" for query in queries) for queries in rows["queries"].to_list()]
        if rows["queries"].list.len().max()
        else [""] * len(rows),
        dtype=pl.String,
    )
    values = [rows["id"], rows["text"], rows["title"], rows["metadata"], rows["licence"], microseconds, queries]
    frame = pl.DataFrame({str(position): value for position, value in enumerate(values)})
    columns = [pl.col(name) for name in frame.columns]
    prefixed = [
        pl.concat_str([column.str.len_bytes().cast(pl.String), pl.lit(":"), column]).fill_null("-")
        for column in columns
    ]
    canonical = frame.select(pl.concat_str(prefixed)).to_series()
    blake2b = hashlib.blake2b
    return pl.Series(
        "revision", [blake2b(text.encode(), digest_size=8).hexdigest() for text in canonical.to_list()], dtype=pl.String
    )


def listing_slices(items: Iterable[Item]) -> Iterator[pl.DataFrame]:
    """Gather items into slices of the `LISTING` shape."""
    gathered: list[Item] = []
    for item in items:
        gathered.append(item)
        if len(gathered) >= LISTING_ROWS:
            yield pl.DataFrame(gathered, schema=LISTING, orient="row")
            gathered = []
    if gathered:
        yield pl.DataFrame(gathered, schema=LISTING, orient="row")


def document_slices(documents: Iterable[Document]) -> Iterator[pl.DataFrame]:
    """Gather documents into slices of the `DOCUMENTS` shape, bounded in rows and in bytes of text."""
    gathered: list[Document] = []
    size = 0
    for document in documents:
        # A document that would burst the slice starts the next one: a huge one travels alone.
        if gathered and size + len(document.text) > SLICE_BYTES:
            yield pl.DataFrame(gathered, schema=DOCUMENTS, orient="row")
            gathered, size = [], 0
        gathered.append(document)
        size += len(document.text)
        if len(gathered) >= SLICE_ROWS:
            yield pl.DataFrame(gathered, schema=DOCUMENTS, orient="row")
            gathered, size = [], 0
    if gathered:
        yield pl.DataFrame(gathered, schema=DOCUMENTS, orient="row")


def regrouped(frames: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Gather frames of the `DOCUMENTS` shape, few rows each or many, into slices as `document_slices` makes them."""
    gathered: list[pl.DataFrame] = []
    rows = size = 0
    for frame in frames:
        for part in frame.iter_slices(SLICE_ROWS):
            weight = int(part["text"].str.len_bytes().sum())
            if gathered and (rows + len(part) > SLICE_ROWS or size + weight > SLICE_BYTES):
                yield pl.concat(gathered)
                gathered, rows, size = [], 0, 0
            gathered.append(part)
            rows += len(part)
            size += weight
    if gathered:
        yield pl.concat(gathered)


def located(path: str, base_dir: Path) -> Path:
    """Find a configured local path: relative to the configuration's folder, `~` expanded."""
    return base_dir / Path(path).expanduser()
