"""What every table of rows is as a source: its configuration, and how rows are listed and read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import polars as pl
from pydantic import Field, field_validator

from storage.encoding import UTF_8
from storage.sources.base import DOCUMENTS, LISTING, NO_BLOB, Place, SourceConfig, Wanted, regrouped
from storage.sources.encodings import checked
from storage.sources.files import DataFile, data_files
from storage.sources.rows import Batch, Columns, RowMapping, documents_of
from storage.sources.times import check_form

__all__ = ["BATCH_BYTES", "BATCH_ROWS", "TableConfig", "TableSource", "TextTableConfig"]

BATCH_BYTES = 4 * 1024 * 1024
BATCH_ROWS = 8_192
MAX_BYTES = 32 * 1024 * 1024


class TableConfig(SourceConfig):
    """What tables have in common."""

    LATER: ClassVar[frozenset[str]] = frozenset({"max_bytes", "time_format"})

    path: str = Field(
        min_length=1,
        description="A file, a glob such as `data/*.jsonl`, or a URL (s3://, gs://, https://, ...); relative to the "
        "configuration file's folder.",
    )
    columns: Columns = Field(default=Columns(), description="Which column is what.")
    time_format: str | None = Field(
        default=None,
        description="The form of times, such as `%d.%m.%Y`, or their unit since 1970: s, ms, us or ns. Unset: ISO "
        "8601, RFC 2822, and numbers by their size.",
    )
    max_bytes: int = Field(
        default=MAX_BYTES,
        gt=0,
        description="Larger rows (a line of JSON, a record of CSV, a cell of Parquet) are quarantined, not decoded.",
    )

    @field_validator("time_format")
    @classmethod
    def _form(cls, form: str | None) -> str | None:
        return None if form is None else check_form(form)


class TextTableConfig(TableConfig):
    """What tables have in common whose files are texts."""

    LATER: ClassVar[frozenset[str]] = TableConfig.LATER | {"encoding"}

    encoding: str = Field(
        default=UTF_8,
        description="What files without a byte order mark are written in: a label that browsers know (`windows-1252`, "
        "`shift_jis`), or `detect`, which looks at the first MiB of a file.",
    )

    @field_validator("encoding")
    @classmethod
    def _encoding(cls, label: str) -> str:
        return checked(label)


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
