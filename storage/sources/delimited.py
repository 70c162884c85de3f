"""CSV as a source: a row that is wrong is named with its line, the rest goes on."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from storage.errors import InputError
from storage.sources.base import Item, digest
from storage.sources.bounded import Records, TooLarge, too_large
from storage.sources.config import CsvConfig
from storage.sources.files import DataFile, text_encoding
from storage.sources.rows import Batch, check_columns
from storage.sources.table import BATCH_BYTES, BATCH_ROWS, TableSource

__all__ = ["CsvSource"]


class CsvSource(TableSource):
    """The rows of CSV files; see `CsvConfig`."""

    def __init__(self, config: CsvConfig, base_dir: Path) -> None:
        self._separator = config.separator
        self._encoding = config.encoding
        super().__init__(config, base_dir)

    def _batches(self) -> Iterator[Batch]:
        csv.field_size_limit(2**31 - 1)  # `Records` holds the bound
        for file in self._members():
            # A cell may hold line breaks of any kind: newline="" leaves them to the parser.
            with (
                file.open(source=self.name) as stream,
                io.TextIOWrapper(stream, text_encoding(stream, self._encoding), errors="replace", newline="") as text,
            ):
                lines = Records(text, self._max_bytes)
                parser = csv.reader(lines, delimiter=self._separator, strict=True)
                header = self._header(file, parser)
                check_columns(self._columns, header, source=self.name, file=file.label)
                yield from self._rows(file, parser, lines, header)

    def _header(self, file: DataFile, parser: Any) -> Sequence[str]:
        try:
            return next(parser, [])
        except csv.Error as error:
            why = f"is not valid CSV: {error}"
        except TooLarge:
            why = f"has more than max_bytes = {self._max_bytes:,} bytes"
        raise InputError(f"source {self.name!r}: the header of {file.label} {why}; mend it, or correct the path")

    def _rows(self, file: DataFile, parser: Any, lines: Records, header: Sequence[str]) -> Iterator[Batch]:
        positions = {column: at for at, column in enumerate(header) if column in self._columns.wanted()}
        rows: list[list[str]] = []
        numbers: list[int] = []
        broken: list[Item] = []
        size = 0
        while True:
            number = lines.begin()
            try:
                row = next(parser)
            except StopIteration:
                break
            except csv.Error as error:
                broken.append(_broken(file, number, lines.last, f"not valid CSV: {error}", lines.read()))
                continue
            except TooLarge:
                passed = lines.skip(parser)
                why = f"the record {too_large(passed.size, self._max_bytes)}"
                broken.append(_broken(file, number, lines.last, why, passed.content.encode(), passed.size))
                continue
            if len(row) != len(header):
                if row:
                    why = f"{len(row)} values where the header has {len(header)}"
                    broken.append(_broken(file, number, lines.last, why, lines.read()))
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


def _broken(file: DataFile, first: int, last: int, why: str, content: bytes, size: int | None = None) -> Item:
    """Name what is wrong by its lines: a quote that is not closed swallows rows, which nothing else would tell."""
    where, lines = f"{file.label}#L{first}", f"line {first}"
    revision = digest(content, why.encode())
    if last > first:
        where, lines, why = f"{where}-L{last}", f"{lines} to {last}", f"{why} ({last - first + 1:,} lines)"
    return Item(where, revision, size or len(content) or None, f"{file.label} {lines}: {why}")
