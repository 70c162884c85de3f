"""JSON lines as a source: a broken line is named with its number, the rest goes on."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal

import orjson
from pydantic import Field

from storage.errors import InputError
from storage.sources.base import Item, SourceConfig, digest
from storage.sources.files import DataFile, text_encoding
from storage.sources.rows import Batch
from storage.sources.table import BATCH_BYTES, TableConfig, TableSource

__all__ = ["JsonlConfig", "JsonlSource"]


class JsonlConfig(TableConfig):
    """Files with one JSON object a line."""

    kind: Literal["jsonl"] = Field(description="JSON lines.")


class JsonlSource(TableSource):
    """The objects of JSON lines files; see `JsonlConfig`."""

    Config: ClassVar[type[SourceConfig]] = JsonlConfig

    def _batches(self) -> Iterator[Batch]:
        unseen = dict(self._columns.named())
        there: set[str] = set()
        for file in self._files():
            with file.open(source=self.name) as stream:
                first = 1
                for lines in _line_blocks(stream):
                    batch, records = self._batch(file, first, lines)
                    first += len(lines)
                    if unseen and records:
                        # JSON has no header: the columns are the keys seen so far.
                        there = there.union(*records)
                        unseen = {column: use for column, use in unseen.items() if column not in there}
                        self._require({"columns.id", "columns.text"}, unseen, there, file)
                    yield batch
        if there:
            self._require(set(unseen.values()), unseen, there, file)

    def _require(self, uses: set[str], unseen: dict[str, str], there: set[str], file: DataFile) -> None:
        for column, use in unseen.items():
            if use in uses:
                listed = ", ".join(map(repr, sorted(there))) or "none"
                raise InputError(
                    f"source {self.name!r}: {file.label} has no column {column!r} ({use}); its columns: {listed}"
                )

    def _batch(self, file: DataFile, first: int, lines: Sequence[bytes]) -> tuple[Batch, list[dict[str, Any]]]:
        records: list[dict[str, Any]] = []
        numbers: list[int] = []
        broken: list[Item] = []
        loads = orjson.loads
        for number, line in enumerate(lines, first):
            try:
                record = loads(line)
            except orjson.JSONDecodeError as error:
                if not line.strip():
                    continue
                record = _second_try(line, error)
            if type(record) is dict:
                records.append(record)
                numbers.append(number)
            else:
                why = record if isinstance(record, _Fault) else "not a JSON object"
                where = f"{file.label}#L{number}"
                broken.append(Item(where, digest(line), len(line), f"{file.label} line {number}: {why}"))
        values = {column: [record.get(column) for record in records] for column in self._columns.wanted()}
        return Batch(file.label, "L", numbers, values, broken), records


class _Fault(str):
    """Why a line is no JSON; a class of its own, since a line may well be a JSON string."""

    __slots__ = ()


def _second_try(line: bytes, error: orjson.JSONDecodeError) -> Any:
    """Parse a line again with its invalid UTF-8 replaced, so that validation names the document, not the line."""
    try:
        line.decode()
    except UnicodeDecodeError:
        try:
            return orjson.loads(line.decode(errors="replace"))
        except orjson.JSONDecodeError as second:
            error = second
    return _Fault(f"not valid JSON: {error.msg} (column {error.colno})")


def _line_blocks(stream: io.BufferedReader) -> Iterator[list[bytes]]:
    """Yield the lines of a file, a few MiB at a time."""
    if text_encoding(stream) == "utf-16":
        with io.TextIOWrapper(stream, "utf-16", errors="replace", newline="\n") as text:
            while block := text.readlines(BATCH_BYTES):
                yield [line.encode() for line in block]
        return
    start = len(codecs.BOM_UTF8) if stream.peek(3).startswith(codecs.BOM_UTF8) else 0
    stream.read(start)
    while lines := stream.readlines(BATCH_BYTES):
        yield lines
