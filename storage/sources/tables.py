"""CSV and Parquet as sources, and what all tables share."""

from __future__ import annotations

import csv
import io
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from storage.errors import InputError
from storage.sources.base import DOCUMENTS, LISTING, Item, SourceConfig, Wanted, digest, regrouped
from storage.sources.files import DataFile, data_files, text_encoding
from storage.sources.rows import Batch, Columns, check_columns, documents_of

__all__ = ["BATCH_BYTES", "CsvConfig", "CsvSource", "ParquetConfig", "ParquetSource", "TableConfig", "TableSource"]

BATCH_BYTES = 4 * 1024 * 1024
BATCH_ROWS = 8_192

# An unclosed quote would otherwise gather the rest of the file in one cell.
_CELL_LENGTH = 256 * 1024 * 1024


class TableConfig(SourceConfig):
    """What tables have in common."""

    path: str = Field(
        min_length=1,
        description="A file, a glob such as `data/*.jsonl`, or a URL (s3://, gs://, https://, ...); relative to the "
        "configuration file's folder.",
    )
    columns: Columns = Field(default=Columns(), description="Which column is what.")


class TableSource(ABC):
    """A source that goes through its files in batches of rows; a subclass says how a file gives them."""

    def __init__(self, config: TableConfig, base_dir: Path) -> None:
        self.name = config.name
        self._columns = config.columns
        self._licence = config.licence
        self._path = config.path
        self._base_dir = base_dir
        self._files()

    def list(self) -> Iterator[pl.DataFrame]:
        """Yield every row's id and hash, file by file; see `Source.list`."""
        for batch in self._batches():
            frame = documents_of(batch, self._columns, self._licence)
            size = pl.col("text").str.len_bytes().cast(pl.Int64).alias("bytes")
            yield frame.select("id", "revision", size, "problem")
            if batch.broken:
                yield pl.DataFrame(batch.broken, schema=LISTING, orient="row")

    def read(self, ids: pl.Series) -> Iterator[pl.DataFrame]:
        """Yield the rows with these ids in the order of the files; see `Source.read`."""
        wanted = Wanted(ids)
        frames = (documents_of(batch, self._columns, self._licence, wanted.mask) for batch in self._batches())
        return regrouped(frame.select(DOCUMENTS.names()) for frame in frames if len(frame))

    def _files(self) -> Sequence[DataFile]:
        return data_files(self._path, self._base_dir, source=self.name)

    @abstractmethod
    def _batches(self) -> Iterator[Batch]:
        """Yield the rows of all files."""


class CsvConfig(TableConfig):
    """CSV files with a header line; every value is a string."""

    kind: Literal["csv"] = Field(description="CSV files.")
    separator: str = Field(default=",", min_length=1, max_length=1, description="What separates the values.")


class CsvSource(TableSource):
    """The rows of CSV files; see `CsvConfig`."""

    Config: ClassVar[type[SourceConfig]] = CsvConfig

    def __init__(self, config: CsvConfig, base_dir: Path) -> None:
        self._separator = config.separator
        super().__init__(config, base_dir)

    def _batches(self) -> Iterator[Batch]:
        csv.field_size_limit(_CELL_LENGTH)
        for file in self._files():
            # A cell may hold line breaks of any kind: newline="" leaves them to the parser.
            with (
                file.open(source=self.name) as stream,
                io.TextIOWrapper(stream, text_encoding(stream), errors="replace", newline="") as lines,
            ):
                reader = csv.reader(lines, delimiter=self._separator, strict=True)
                header = next(reader, [])
                check_columns(self._columns, header, source=self.name, file=file.label)
                yield from self._rows(file, reader, header)

    def _rows(self, file: DataFile, reader: Any, header: Sequence[str]) -> Iterator[Batch]:
        positions = {column: at for at, column in enumerate(header) if column in self._columns.wanted()}
        rows: list[list[str]] = []
        numbers: list[int] = []
        broken: list[Item] = []
        size = 0
        while True:
            number = reader.line_num + 1
            try:
                row = next(reader)
            except StopIteration:
                break
            except csv.Error as error:
                broken.append(_broken(file, number, f"not valid CSV: {error}", ""))
                continue
            if len(row) != len(header):
                if row:
                    why = f"{len(row)} values where the header has {len(header)}"
                    broken.append(_broken(file, number, why, self._separator.join(row)))
                continue
            rows.append(row)
            numbers.append(number)
            size += sum(map(len, row))
            if size > BATCH_BYTES or len(rows) >= BATCH_ROWS:
                yield Batch(file.label, "L", numbers, _picked(rows, positions), broken)
                rows, numbers, broken, size = [], [], [], 0
        if rows or broken:
            yield Batch(file.label, "L", numbers, _picked(rows, positions), broken)


def _picked(rows: Sequence[Sequence[str]], positions: dict[str, int]) -> dict[str, list[str]]:
    return {column: [row[at] for row in rows] for column, at in positions.items()}


def _broken(file: DataFile, number: int, why: str, content: str) -> Item:
    where = f"{file.label}#L{number}"
    revision = digest(content.encode(errors="surrogatepass"), why.encode())
    return Item(where, revision, len(content) or None, f"{file.label} line {number}: {why}")


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
