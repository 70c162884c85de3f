"""Files of queries that other applications write: read from where the last night stopped, and no line twice."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from storage.hashing import digest
from storage.tables.queries import Position

__all__ = ["FileQueries", "Line", "read_files"]

HEAD = 4_096  # bytes by which a file is known again
LONGEST = 2**20  # bytes of a line
_SHOWN = 3


@dataclass(frozen=True)
class Line:
    """One query of a file.

    Attributes:
        id: The same for the same line: of its bytes where they hold a time, else of its place in its file.
        text: What was asked.
        time: When; when the file was read where the line does not say.
        clicked: Whether a hit was opened; None where the line does not say.
    """

    id: str
    text: str
    time: datetime
    clicked: bool | None = None


@dataclass(frozen=True)
class FileQueries:
    """What files hold that no night has read.

    Attributes:
        lines: A sample of the new queries, the same whoever draws it, oldest first.
        positions: File to how far it is read now.
        read: New queries, those that the sample left out among them.
        broken: Lines that are no query; each costs itself alone.
        notes: Where the first broken lines are and what is wrong with them, and files that cannot be read.
    """

    lines: tuple[Line, ...] = ()
    positions: Mapping[str, Position] = field(default_factory=dict)
    read: int = 0
    broken: int = 0
    notes: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """Queries that were read and taken, and broken lines."""
        return {"read": self.read, "taken": len(self.lines), "broken": self.broken}


@dataclass
class _Sample:
    """Draws lines by their ids, a bounded number of however many (bottom-k sampling)."""

    most: int
    seen: int = 0

    def __post_init__(self) -> None:
        self.heap: list[tuple[int, str, Line]] = []

    def add(self, line: Line) -> None:
        self.seen += 1
        # The ids of one place differ in few bits of what they are made of, so that they are hashed once more.
        entry = (-int(digest(f"sample {line.id}"), 16), line.id, line)
        if len(self.heap) < self.most:
            heapq.heappush(self.heap, entry)
        elif entry > self.heap[0]:
            heapq.heapreplace(self.heap, entry)

    @property
    def lines(self) -> tuple[Line, ...]:
        each = {line.id: line for _, _, line in self.heap}
        return tuple(sorted(each.values(), key=lambda line: (line.time, line.id)))


def read_files(pattern: str, base: Path, known: Mapping[str, Position], most: int, now: datetime) -> FileQueries:
    """Read the new lines of files, some bytes at a time.

    A line is a JSON object with `query`, and with `time` (ISO 8601, or seconds since 1970) and `clicked` (true or
    false, an id or several) where they are known. A last line without an end is left for the next night. A file that
    was moved is known by its place on the disk; one that was cut, or another in its place, by its first bytes.

    Args:
        pattern: Which files, such as `logs/*.jsonl`.
        base: The folder that a relative pattern starts from.
        known: File to how far it was read.
        most: Lines that are taken.
        now: When they are read.
    """
    sample, positions, notes, broken = _Sample(most), dict[str, Position](), list[str](), 0
    for path in _matching(pattern, base):
        wrong = 0
        try:
            with path.open("rb") as stream:
                start = _start(stream, path, known)
                place, offset = start.file, start.offset
                for at, length, raw in _lines(stream, offset):
                    offset = at + length
                    line = _parsed(raw, f"{place}:{at}:", now)
                    if isinstance(line, Line):
                        sample.add(line)
                    elif line:
                        wrong += 1
                        if wrong <= _SHOWN:
                            notes.append(f"{path}, byte {at}: {line}; the line was left out")
                positions[place] = _position(stream, place, path, offset)
        except OSError as error:
            notes.append(f"{path}: the log of queries cannot be read: {error.strerror or error}")
        broken += wrong
    return FileQueries(sample.lines, positions, sample.seen, broken, tuple(notes))


def _matching(pattern: str, base: Path) -> list[Path]:
    wanted = Path(pattern).expanduser()
    root = Path(wanted.anchor) if wanted.is_absolute() else base
    named = str(wanted.relative_to(root) if wanted.is_absolute() else wanted)
    return sorted(path for path in root.glob(named) if path.is_file())


def _start(stream: BinaryIO, path: Path, known: Mapping[str, Position]) -> Position:
    """Where to read on: at the start, where the file is another one than it was."""
    state = path.stat()
    place = f"{state.st_dev}:{state.st_ino}"
    held = known.get(place)
    if held is None or state.st_size < held.offset or digest(stream.read(held.size)) != held.head:
        return Position(place, str(path), "", 0, 0)
    return held


def _position(stream: BinaryIO, place: str, path: Path, offset: int) -> Position:
    stream.seek(0)
    size = min(offset, HEAD)
    return Position(place, str(path), digest(stream.read(size)), size, offset)


def _lines(stream: BinaryIO, offset: int) -> Iterator[tuple[int, int, bytes | None]]:
    """Where each whole line begins, how many bytes it has with its end, and those; None for one that is too long."""
    stream.seek(offset)
    while raw := stream.readline(LONGEST):
        length, whole = len(raw), raw.endswith(b"\n")
        while not raw.endswith(b"\n"):
            raw = stream.readline(LONGEST)
            if not raw:
                return
            length += len(raw)
        yield offset, length, raw if whole else None
        offset += length


def _parsed(raw: bytes | None, place: str, now: datetime) -> Line | str:
    """The query of a line, what is wrong with it, or nothing where it is blank."""
    if raw is None:
        return f"it is longer than {LONGEST:,} bytes"
    if not raw.strip():
        return ""
    try:
        row = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        return f"not valid JSON: {error.msg} (column {error.colno})"
    if not isinstance(row, dict):
        return "not a JSON object"
    text, clicked = row.get("query"), row.get("clicked")
    if not isinstance(text, str) or not text.strip():
        return "`query` is no text"
    if not isinstance(clicked, bool | str | list | None):
        return "`clicked` is neither true nor false, nor an id or several"
    timed = row.get("time") is not None
    time = _time(row["time"]) if timed else now
    if time is None:
        return "`time` is no time: write 2026-01-31T23:59:59Z, or seconds since 1970"
    name = digest(raw.strip()) if timed else digest(place.encode() + raw)
    return Line(name, text, min(time, now), None if clicked is None else bool(clicked))


def _time(value: Any) -> datetime | None:
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except (ValueError, OverflowError, OSError):
        return None
    return found if found is None or found.tzinfo else found.replace(tzinfo=UTC)
