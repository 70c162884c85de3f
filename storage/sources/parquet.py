"""Parquet as a source: rows in batches of about the same size, whatever the row groups are."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from storage.errors import InputError
from storage.sources.base import SourceConfig
from storage.sources.files import DataFile
from storage.sources.rows import Batch, check_columns
from storage.sources.table import BATCH_BYTES, BATCH_ROWS, TableConfig, TableSource

__all__ = ["ParquetConfig", "ParquetSource"]


class ParquetConfig(TableConfig):
    """Parquet files."""

    kind: Literal["parquet"] = Field(description="Parquet files.")


class ParquetSource(TableSource):
    """The rows of Parquet files; see `ParquetConfig`."""

    Config: ClassVar[type[SourceConfig]] = ParquetConfig

    def _batches(self) -> Iterator[Batch]:
        for file in self._files():
            with file.open(source=self.name) as stream:
                try:
                    yield from self._rows(file, stream)
                except pa.ArrowException as error:
                    raise InputError(f"source {self.name!r}: {file.label} is no sound Parquet file: {error}") from error

    def _rows(self, file: DataFile, stream: io.BufferedReader) -> Iterator[Batch]:
        # Without the pre-buffer a column is streamed, else a whole row group lies in memory.
        parquet = pq.ParquetFile(stream, buffer_size=1024 * 1024, pre_buffer=False)
        there = parquet.schema_arrow.names
        check_columns(self._columns, there, source=self.name, file=file.label)
        wanted = [column for column in there if column in self._columns.wanted()]
        first = 1
        batches = parquet.iter_batches(_batch_rows(parquet.metadata, wanted), columns=wanted, use_threads=False)
        for batch in batches:
            frame = pl.DataFrame(pl.from_arrow(batch))
            values = {column: frame[column].to_list() for column in wanted}
            yield Batch(file.label, "R", range(first, first + len(frame)), values)
            first += len(frame)


def _batch_rows(metadata: pq.FileMetaData, wanted: Sequence[str]) -> int:
    """Tell how many rows make about `BATCH_BYTES`, by the file's own account of its heaviest row group."""
    heaviest = 1.0
    for position in range(metadata.num_row_groups):
        group = metadata.row_group(position)
        columns = [group.column(at) for at in range(group.num_columns)]
        size = sum(
            column.total_uncompressed_size for column in columns if column.path_in_schema.split(".")[0] in wanted
        )
        heaviest = max(heaviest, size / max(group.num_rows, 1))
    return max(1, min(BATCH_ROWS, int(BATCH_BYTES / heaviest)))
