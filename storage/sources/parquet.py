"""Parquet as a source: rows in batches of about the same size, whatever row groups, pages and dictionaries are."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from storage.errors import InputError
from storage.sources.arrow import cells, weights
from storage.sources.base import Item, digest
from storage.sources.files import DataFile
from storage.sources.pages import NoPage, pages
from storage.sources.rows import Batch, check_columns
from storage.sources.table import BATCH_BYTES, BATCH_ROWS, TableSource

__all__ = ["ParquetSource"]

# What is unpacked at once whatever is wanted of it: a page, and the values of a column of lists.
PAGE_BYTES = 256 * 1024 * 1024
LIST_VALUES = 2**27
HEAVY_BYTES = 32 * 1024 * 1024  # of a page

_FLAT = "BYTE_ARRAY"  # the only type whose values may be larger in a cell than in the file


class ParquetSource(TableSource):
    """The rows of Parquet files; see `ParquetConfig`."""

    def _batches(self) -> Iterator[Batch]:
        for file in self._members():
            with file.open(source=self.name) as stream:
                try:
                    yield from self._rows(file, stream)
                except (pa.ArrowException, NoPage) as error:
                    raise InputError(f"source {self.name!r}: {file.label} is no sound Parquet file: {error}") from error

    def _rows(self, file: DataFile, stream: io.BufferedReader) -> Iterator[Batch]:
        # Without the pre-buffer a column is streamed, else a whole row group lies in memory.
        metadata = pq.read_metadata(stream)
        there = metadata.schema.to_arrow_schema().names
        check_columns(self._columns, there, source=self.name, file=file.label)
        wanted = [column for column in there if column in self._columns.wanted()]
        groups = [_measured(stream, metadata, at, wanted, local=file.local) for at in range(metadata.num_row_groups)]
        first = 1
        # Neighbours are read together: a file may have a row group for each row.
        for (problem, heavy), run in groupby(groups, key=lambda group: (group.problem, group.heavy)):
            found = list(run)
            if problem is not None:
                count = sum(group.rows for group in found)
                yield Batch(file.label, "R", (), dict.fromkeys(wanted, ()), [_closed(file, first, count, problem)])
                first += count
                continue
            parquet = pq.ParquetFile(
                stream,
                metadata=metadata,
                buffer_size=1024 * 1024,
                pre_buffer=False,
                # Of a heavy page it would make more copies, and so few rows are read at once that nothing multiplies.
                read_dictionary=None if heavy else _dictionaries(metadata, wanted),
            )
            size = max(1, min(BATCH_ROWS, *(group.batch for group in found)))
            at = [group.at for group in found]
            for batch in parquet.iter_batches(size, row_groups=at, columns=wanted, use_threads=False):
                yield from self._parts(file, first, batch, wanted)
                first += len(batch)

    def _parts(self, file: DataFile, first: int, batch: pa.RecordBatch, wanted: Sequence[str]) -> Iterator[Batch]:
        """Take a batch out in parts of about `BATCH_BYTES`: it was sized by averages."""
        weighed = {column: weights(batch.column(column)) for column in wanted}
        kept = sum(np.where(each > self._max_bytes, 0, each) for each in weighed.values())
        ends = np.cumsum(kept)
        start = 0
        while start < len(batch):
            reached = int(ends[start - 1]) if start else 0
            end = max(start + 1, int(np.searchsorted(ends, reached + BATCH_BYTES, side="right")))
            values = {
                column: cells(batch.column(column).slice(start, end - start), each[start:end], self._max_bytes)
                for column, each in weighed.items()
            }
            yield Batch(file.label, "R", range(first + start, first + start + len(values[wanted[0]])), values)
            start = end


class _Group(NamedTuple):
    """A row group: its place, its rows, how many are read at once, why it is not read, and whether a page is heavy."""

    at: int
    rows: int
    batch: int
    problem: str | None
    heavy: bool


def _measured(
    stream: io.BufferedReader, metadata: pq.FileMetaData, at: int, wanted: Sequence[str], *, local: bool
) -> _Group:
    """Look at the pages of a row group, of which none is unpacked."""
    group = metadata.row_group(at)
    rows = max(group.num_rows, 1)
    batch, problem, heaviest, heavy = BATCH_ROWS, None, 0.0, False
    for column in map(group.column, range(group.num_columns)):
        name = column.path_in_schema.split(".")[0]
        if name not in wanted:
            continue
        size = column.total_uncompressed_size
        heaviest += size / rows
        if column.num_values > max(LIST_VALUES, rows):
            problem = f"column {name!r} has {column.num_values:,} values in {rows:,} rows: write smaller row groups"
        # To look at the pages of a remote file is to load it twice.
        if not local and size <= PAGE_BYTES:
            continue
        start = min(column.data_page_offset, column.dictionary_page_offset or column.data_page_offset)
        for page in pages(stream, start, column.total_compressed_size):
            if page.size > PAGE_BYTES:
                problem = f"column {name!r} has a page of {page.size:,} bytes: write smaller pages or texts"
            if page.values:
                batch = min(batch, int(BATCH_BYTES * page.values / max(page.size, 1)))
            heavy = heavy or page.size > HEAVY_BYTES
            # Each value may stand for a whole page: of the dictionary, or, in this encoding, for all of the one before.
            if page.size > HEAVY_BYTES or "DELTA_BYTE_ARRAY" in column.encodings:
                batch = min(batch, PAGE_BYTES // max(page.size, 1))
    return _Group(at, group.num_rows, min(batch, int(BATCH_BYTES / max(heaviest, 1.0))), problem, heavy)


def _dictionaries(metadata: pq.FileMetaData, wanted: Sequence[str]) -> list[str]:
    """Columns to read without their dictionaries being unpacked: a large value may stand in all rows."""
    found: set[str] = set()
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        for at in range(group.num_columns):
            column = group.column(at)
            plain = column.physical_type == _FLAT and metadata.schema.column(at).logical_type.type != "DECIMAL"
            if plain and column.has_dictionary_page and column.path_in_schema.split(".")[0] in wanted:
                found.add(column.path_in_schema)
    return sorted(found)


def _closed(file: DataFile, first: int, count: int, problem: str) -> Item:
    last = first + count - 1
    return Item(
        f"{file.label}#R{first}-R{last}",
        digest(problem.encode()),
        None,
        f"{file.label} rows {first} to {last}: {problem}",
    )
