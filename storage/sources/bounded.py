"""Lines and records of a file, none of which takes more memory than a bound, however large it is."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

__all__ = ["Oversized", "Records", "TooLarge", "line_blocks", "too_large"]

_PIECE = 1024 * 1024
_START = 16
_ENDS = ("\n", "\r")


class Oversized(NamedTuple):
    """Stands for a line that was passed over without being kept.

    Attributes:
        size: Its bytes.
        content: Digest of it.
        start: Its first bytes.
    """

    size: int
    content: str
    start: bytes = b""


class TooLarge(Exception):
    """The record at hand is larger than the bound."""


def too_large(size: int, bound: int) -> str:
    """Say that something has too many bytes, and what to do."""
    return f"has {size:,} bytes, more than max_bytes = {bound:,}: split it, or allow more"


def line_blocks(read: Callable[[int], bytes], bound: int, block: int) -> Iterator[list[bytes | Oversized]]:
    """Yield the lines of a stream, in lists of about `block` bytes.

    Args:
        read: Reads up to so many bytes, as far as the end of the line, which it leaves on.
        bound: Most bytes of a line.
        block: Bytes of a list.
    """
    lines: list[bytes | Oversized] = []
    size = 0
    while line := read(bound + 1):
        if len(line) > bound and not line.endswith(b"\n"):
            lines.append(_passed(line, read))
        else:
            lines.append(line)
            size += len(line)
        # Rows count too: a line has a weight of its own, be it as short as can be.
        if size >= block or len(lines) >= block // 64:
            yield lines
            lines, size = [], 0
    if lines:
        yield lines


def _passed(piece: bytes, read: Callable[[int], bytes]) -> Oversized:
    """Go to the end of a line, of which only digest and length are kept."""
    hasher, size, start = hashlib.blake2b(digest_size=8), 0, piece[:_START]
    while piece:
        hasher.update(piece)
        size += len(piece)
        if piece.endswith(b"\n"):
            break
        piece = read(_PIECE)
    return Oversized(size, hasher.hexdigest(), start)


class Records:
    """Feeds a CSV parser with lines; raises `TooLarge` where one record, of any number of lines, has too many.

    Args:
        text: The file, opened with `newline=""`: the parser judges line breaks itself.
        bound: Most characters of a record.

    Attributes:
        last: Number of the line that was read last.
    """

    def __init__(self, text: io.TextIOWrapper, bound: int) -> None:
        self.last = 0
        self._text = text
        self._bound = bound
        self._lines: list[str] = []
        self._size = 0
        self._before = ""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._text.readline(self._bound - self._size + 1)
        if not line:
            raise StopIteration
        if self._before:
            line, self._before = self._before + line, ""
        self._lines.append(line)
        self._size += len(line)
        if self._size > self._bound:
            raise TooLarge
        self.last += 1
        return line

    def begin(self) -> int:
        """Forget the record before; gives the number of the first line of the next."""
        self._lines, self._size = [], 0
        return self.last + 1

    def read(self) -> bytes:
        """What was read since the record began."""
        return "".join(self._lines).encode(errors="surrogatepass")

    def skip(self, parser: Any) -> Oversized:
        """Go to the end of a record that is too large, as the parser sees it, and keep none of it."""
        hasher, size = hashlib.blake2b(digest_size=8), 0

        def absorb(content: bytes) -> int:
            nonlocal size
            hasher.update(content)
            size += len(content)
            return content.count(b'"')

        within = True
        while within:
            quotes, ended = absorb(self.read()), self._lines[-1].endswith(_ENDS)
            while not ended and (piece := self._text.readline(_PIECE)):
                quotes, ended = quotes + absorb(piece.encode(errors="surrogatepass")), piece.endswith(_ENDS)
            self.last += 1
            self.begin()
            if quotes % 2 == 0:
                break
            # The parser has forgotten that it stood within quotes, so it is told.
            self._before = '"'
            try:
                next(parser)
            except TooLarge:
                continue
            except (csv.Error, StopIteration):
                pass
            absorb(self.read())
            within = False
        return Oversized(size, hasher.hexdigest())
