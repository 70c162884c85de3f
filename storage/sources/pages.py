"""Pages of a Parquet file, looked at before they are unpacked: how large each says that it is.

The headers are read as the format describes them: https://github.com/apache/parquet-format (parquet.thrift), in the
compact protocol of Thrift.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["NoPage", "Page", "pages"]

_STOP, _TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 0, 1, 2, 3, 7, 8, 9, 10, 11, 12
_INTEGERS = (4, 5, 6)
_UNPACKED, _PACKED = 2, 3  # fields of a page header
_KINDS = (5, 7, 8)  # headers of a data page, of a dictionary and of a data page of the second form, within it
_VALUES = 1  # the first field of each
_DEEPEST = 16
_LONGEST = 10  # bytes of an integer


class NoPage(ValueError):
    """Where the header of a page should be, there is none."""


class Page(NamedTuple):
    """What the header of a page says.

    Attributes:
        size: Bytes once it is unpacked.
        values: How many values it has.
    """

    size: int
    values: int


def pages(stream: io.BufferedReader, start: int, length: int) -> Iterator[Page]:
    """Yield the pages of one column chunk.

    Args:
        stream: The file.
        start: Where the chunk begins.
        length: Its bytes in the file.

    Raises:
        NoPage: A header is none.
    """
    end = start + length
    while start < end:
        stream.seek(start)
        found = _fields(stream)
        packed = found.get((_PACKED,), -1)
        size = found.get((_UNPACKED,), -1)
        if packed < 0 or size < 0:
            raise NoPage("a page without a size")
        yield Page(size, max(found.get((kind, _VALUES), 0) for kind in _KINDS))
        start = stream.tell() + packed


def _fields(stream: io.BufferedReader) -> dict[tuple[int, ...], int]:
    """Read a struct; gives the integers in it by the numbers of the fields that lead to them."""
    found: dict[tuple[int, ...], int] = {}
    path: list[int] = [0]
    while path:
        head = _byte(stream)
        kind, step = head & 15, head >> 4
        if kind == _STOP:
            path.pop()
            continue
        path[-1] = path[-1] + step if step else _integer(stream)
        if kind == _STRUCT:
            if len(path) >= _DEEPEST:
                raise NoPage("a header too deep")
            path.append(0)
        elif kind in _INTEGERS:
            found[tuple(path)] = _integer(stream)
        else:
            _pass(stream, kind)
    return found


def _pass(stream: io.BufferedReader, kind: int) -> None:
    """Pass over a value that is not looked at."""
    if kind in (_TRUE, _FALSE):
        return
    if kind == _BYTE:
        _byte(stream)
    elif kind == _DOUBLE:
        stream.seek(8, io.SEEK_CUR)
    elif kind == _BINARY:
        stream.seek(_plain(stream), io.SEEK_CUR)
    else:  # no header of a page has lists or maps
        raise NoPage(f"a header with a value of kind {kind}")


def _byte(stream: io.BufferedReader) -> int:
    read = stream.read(1)
    if not read:
        raise NoPage("a header cut off")
    return read[0]


def _plain(stream: io.BufferedReader) -> int:
    value = 0
    for at in range(_LONGEST):
        byte = _byte(stream)
        value |= (byte & 127) << (7 * at)
        if byte < 128:
            return value
    raise NoPage("an integer too long")


def _integer(stream: io.BufferedReader) -> int:
    value = _plain(stream)
    return (value >> 1) ^ -(value & 1)  # zigzag
