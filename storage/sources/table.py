"""What every table of rows is as a source: its configuration, and how rows are listed and read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl
from pydantic import Field

from storage.sources.base import DOCUMENTS, LISTING, NO_BLOB, SourceConfig, Wanted, regrouped
from storage.sources.files import DataFile, data_files
from storage.sources.rows import Batch, Columns, documents_of

__all__ = ["BATCH_BYTES", "BATCH_ROWS", "TableConfig", "TableSource"]

BATCH_BYTES = 4 * 1024 * 1024
BATCH_ROWS = 8_192


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
        return regrouped(frame.with_columns(NO_BLOB).select(DOCUMENTS.names()) for frame in frames if len(frame))

    def _files(self) -> Sequence[DataFile]:
        return data_files(self._path, self._base_dir, source=self.name)

    @abstractmethod
    def _batches(self) -> Iterator[Batch]:
        """Yield the rows of all files."""
