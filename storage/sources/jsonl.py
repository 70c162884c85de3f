"""JSON lines as a source: a broken line is named with its number, the rest goes on."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from storage.encoding import UTF_8
from storage.errors import InputError
from storage.sources.base import Item, digest
from storage.sources.bounded import Oversized, line_blocks, too_large
from storage.sources.config import JsonlConfig
from storage.sources.files import DataFile, text_encoding
from storage.sources.rows import Batch
from storage.sources.table import BATCH_BYTES, TableSource

__all__ = ["JsonlSource"]

_ENOUGH = 1_000  # lines that say what the others are like


class JsonlSource(TableSource):
    """The objects of JSON lines files; see `JsonlConfig`."""

    def __init__(self, config: JsonlConfig, base_dir: Path) -> None:
        self._encoding = config.encoding
        super().__init__(config, base_dir)

    def _batches(self) -> Iterator[Batch]:
        unseen = dict(self._columns.named())
        there: set[str] = set()
        records = 0
        for file in self._members():
            with file.open(source=self.name) as stream:
                first = 1
                for lines in _line_blocks(stream, self._max_bytes, self._encoding):
                    batch, found = self._batch(file, first, lines)
                    if first == 1:
                        self._check_form(file, lines, len(found))
                    first += len(lines)
                    if unseen and found:
                        # JSON has no header: the columns are the keys seen so far. One odd record says nothing.
                        there, records = there.union(*found), records + len(found)
                        unseen = {column: use for column, use in unseen.items() if column not in there}
                        if records >= _ENOUGH:
                            self._require({"columns.id", "columns.text"}, unseen, there, file)
                    yield batch
        if there:
            self._require(set(unseen.values()), unseen, there, file)

    def _check_form(self, file: DataFile, lines: Sequence[bytes | Oversized], records: int) -> None:
        """Refuse a file that is one JSON document, of which each line would be told as broken."""
        told = [line.strip() if isinstance(line, bytes) else line.start.lstrip() for line in lines]
        told = [line for line in told if line]
        if records > 1 or not told:
            return
        alone = len(lines) == 1 and isinstance(lines[0], Oversized)
        if told[0].startswith(b"[") and (told[-1].endswith(b"]") or len(told) >= _ENOUGH or alone):
            how = f"is a JSON array; JSON lines wants one object a line: `jq -c '.[]' {file.label}` makes them"
        elif told[0] == b"{" and records == 0 and len(told) > 1:
            how = f"spreads its objects over several lines; JSON lines wants one a line: `jq -c . {file.label}` does it"
        else:
            return
        raise InputError(f"source {self.name!r}: {file.label} {how}")

    def _require(self, uses: set[str], unseen: dict[str, str], there: set[str], file: DataFile) -> None:
        for column, use in unseen.items():
            if use in uses:
                listed = ", ".join(map(repr, sorted(there))) or "none"
                raise InputError(
                    f"source {self.name!r}: {file.label} has no column {column!r} ({use}); its columns: {listed}"
                )

    def _batch(
        self, file: DataFile, first: int, lines: Sequence[bytes | Oversized]
    ) -> tuple[Batch, list[dict[str, Any]]]:
        records: list[dict[str, Any]] = []
        numbers: list[int] = []
        broken: list[Item] = []
        for number, line in enumerate(lines, first):
            found = _parsed(line, self._max_bytes)
            if type(found) is dict:
                records.append(found)
                numbers.append(number)
            elif found is not _BLANK:
                why = found if isinstance(found, _Fault) else "not a JSON object"
                where, (size, content) = f"{file.label}#L{number}", _measured(line)
                broken.append(Item(where, content, size, f"{file.label} line {number}: {why}"))
        values = {column: [record.get(column) for record in records] for column in self._columns.wanted()}
        return Batch(file.label, "L", numbers, values, broken), records


class _Fault(str):
    """Why a line is no JSON; a class of its own, since a line may well be a JSON string."""

    __slots__ = ()


_BLANK = _Fault("blank")


def _parsed(line: bytes | Oversized, bound: int) -> Any:
    """What a line holds, or the fault that it has."""
    if isinstance(line, Oversized):
        return _Fault(too_large(line.size, bound))
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return _second_try(line, error) if line.strip() else _BLANK


def _measured(line: bytes | Oversized) -> tuple[int, str]:
    return (line.size, line.content) if isinstance(line, Oversized) else (len(line), digest(line))


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


def _line_blocks(stream: io.BufferedReader, bound: int, encoding: str) -> Iterator[list[bytes | Oversized]]:
    """Yield the lines of a file in UTF-8, a few MiB at a time."""
    written = text_encoding(stream, encoding)
    if written not in (UTF_8, "utf-8-sig"):
        with io.TextIOWrapper(stream, written, errors="replace", newline="\n") as text:
            yield from line_blocks(lambda size: text.readline(size).encode(errors="replace"), bound, BATCH_BYTES)
        return
    start = len(codecs.BOM_UTF8) if stream.peek(3).startswith(codecs.BOM_UTF8) else 0
    stream.read(start)
    yield from line_blocks(stream.readline, bound, BATCH_BYTES)
