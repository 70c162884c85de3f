"""What every table of rows is as a source: its configuration, and how rows are listed and read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from storage.sources.base import DOCUMENTS, LISTING, NO_BLOB, Place, Wanted, regrouped
from storage.sources.config import TableConfig
from storage.sources.files import DataFile, data_files
from storage.sources.rows import Batch, RowMapping, documents_of

__all__ = ["BATCH_BYTES", "BATCH_ROWS", "TableSource"]

BATCH_BYTES = 4 * 1024 * 1024
BATCH_ROWS = 8_192


class TableSource(ABC):
    """A source that goes through its files in batches of rows; a subclass says how a file gives them."""

    def __init__(self, config: TableConfig, base_dir: Path) -> None:
        self.name = config.name
        self._kind = config.kind
        self._columns = config.columns
        self._mapping = RowMapping(config.columns, config.licence, config.time_format)
        self._max_bytes = config.max_bytes
        self._path = config.path
        self._base_dir = base_dir
        self._files()

    def list(self) -> Iterator[pl.DataFrame]:
        """Yield every row's id and hash, file by file; see `Source.list`."""
        for batch in self._batches():
            frame = documents_of(batch, self._mapping)
            size = pl.col("text").str.len_bytes().cast(pl.Int64).alias("bytes")
            yield frame.select("id", "revision", size, "problem")
            if batch.broken:
                yield pl.DataFrame(batch.broken, schema=LISTING, orient="row")

    def read(self, ids: pl.Series) -> Iterator[pl.DataFrame]:
        """Yield the rows with these ids in the order of the files; see `Source.read`."""
        wanted = Wanted(ids)
        frames = (documents_of(batch, self._mapping, wanted.mask) for batch in self._batches())
        return regrouped(frame.with_columns(NO_BLOB).select(DOCUMENTS.names()) for frame in frames if len(frame))

    def place(self, identity: str) -> Place | None:
        """Find the first row with an id, by a pass over the files up to it; None where there is none any more."""
        for batch in self._batches():
            ids = documents_of(batch, self._mapping)["id"]
            numbers = [batch.numbers[at] for at in (ids == identity).arg_true()]
            if any(item.id == identity for item in batch.broken):  # it is called by its place: `file#L12`
                numbers.append(int(identity.rpartition("#")[2].partition("-")[0][1:]))
            if numbers:
                return Place(batch.file, numbers[0]) if batch.unit == "L" else Place(batch.file, row=numbers[0])
        return None

    def _files(self) -> Sequence[DataFile]:
        return data_files(self._path, self._base_dir, source=self.name, suffix=self._kind)

    def _members(self) -> Iterator[DataFile]:
        """Yield all files, of archives those inside."""
        for file in self._files():
            yield from file.members(source=self.name)

    @abstractmethod
    def _batches(self) -> Iterator[Batch]:
        """Yield the rows of all files."""
