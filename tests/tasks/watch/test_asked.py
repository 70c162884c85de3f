"""Files of queries: each line once, whatever becomes of its file, and a broken one costs itself."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from storage.tables.queries import Position
from tasks.watch import asked
from tasks.watch.asked import FileQueries, read_files

NOW = datetime(2026, 1, 31, 2, tzinfo=UTC)


def read(base: Path, known: FileQueries | None = None, most: int = 1_000) -> FileQueries:
    positions: dict[str, Position] = {} if known is None else dict(known.positions)
    return read_files("*.jsonl", base, positions, most, NOW)


def write(file: Path, *rows: Any, mode: str = "w") -> None:
    with file.open(mode) as stream:
        stream.writelines(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows)


def texts(found: FileQueries) -> list[str]:
    return sorted(line.text for line in found.lines)


def test_new_lines_are_read_and_old_ones_never_again(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    write(file, {"query": "tide"}, {"query": "tide"}, '{"query": "mo')
    first = read(tmp_path)
    assert texts(first) == ["tide", "tide"]
    assert texts(read(tmp_path, first)) == []
    write(file, 'on"}\n', {"query": "reef"}, mode="a")
    assert texts(read(tmp_path, first)) == ["moon", "reef"]
    again = read(tmp_path)
    assert {line.id for line in first.lines} < {line.id for line in again.lines}


def test_a_file_that_was_moved_is_known_and_one_that_was_cut_is_read_anew(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    write(file, {"query": "tide"}, {"query": "moon"})
    first = read(tmp_path)
    file.rename(tmp_path / "a.1.jsonl")
    write(file, {"query": "reef"})
    second = read(tmp_path, first)
    assert texts(second) == ["reef"]
    write(file, {"query": "gale"}, {"query": "hull"}, {"query": "ebb"})  # the same file, with other lines
    third = read(tmp_path, second)
    assert texts(third) == ["ebb", "gale", "hull"]
    assert not {line.id for line in third.lines} & {line.id for line in second.lines}


def test_a_line_with_a_time_is_the_same_in_a_copy_of_its_file(tmp_path: Path) -> None:
    row = {"query": "tide", "time": "2026-01-30T10:00:00+01:00", "clicked": ["a.md"]}
    write(tmp_path / "a.jsonl", row, {"query": "moon", "time": 1_769_770_800, "clicked": []})
    write(tmp_path / "b.jsonl", row)
    found = read(tmp_path)
    assert [(line.text, line.time, line.clicked) for line in found.lines] == [
        ("tide", datetime(2026, 1, 30, 9, tzinfo=UTC), True),
        ("moon", datetime(2026, 1, 30, 11, tzinfo=UTC), False),
    ]


def test_broken_lines_cost_themselves_and_are_named(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(asked, "LONGEST", 100)
    broken = [
        "nonsense\n",
        "[]\n",
        '{"query": 1}\n',
        '{"query": "x", "time": "noon"}\n',
        '{"query": "x", "clicked": 1}\n',
    ]
    write(tmp_path / "a.jsonl", *broken, "x" * 500 + "\n", "\n", {"query": "tide", "time": "2999-01-01"})
    found = read(tmp_path)
    assert [(line.text, line.time) for line in found.lines] == [("tide", NOW)]
    assert found.counts == {"read": 1, "taken": 1, "broken": 6}
    assert found.notes[0].startswith(f"{tmp_path / 'a.jsonl'}, byte 0: not valid JSON")
    assert len(found.notes) == 3
    assert texts(read(tmp_path, found)) == []


def test_a_file_that_cannot_be_read_is_told_and_the_others_are_read(tmp_path: Path, monkeypatch: Any) -> None:
    write(tmp_path / "a.jsonl", {"query": "tide"})
    write(tmp_path / "b.jsonl", {"query": "moon"})
    opened = Path.open

    def refused(self: Path, *rest: Any, **named: Any) -> Any:
        if self.name == "a.jsonl":
            raise PermissionError(13, os.strerror(13))
        return opened(self, *rest, **named)

    monkeypatch.setattr(Path, "open", refused)
    found = read(tmp_path)
    assert texts(found) == ["moon"]
    assert found.notes == (f"{tmp_path / 'a.jsonl'}: the log of queries cannot be read: Permission denied",)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=6))
def test_a_sample_is_the_same_in_whatever_parts_a_file_grows(tmp_path_factory: Any, parts: list[int]) -> None:
    base = tmp_path_factory.mktemp("grown")
    file, known, taken = base / "a.jsonl", None, 0
    for part in parts:
        write(file, *({"query": f"question {number}"} for number in range(part)), mode="a")
        known = read(base, known, most=10)
        taken += known.read
        assert len(known.lines) == min(part, 10)
    assert taken == sum(parts)
