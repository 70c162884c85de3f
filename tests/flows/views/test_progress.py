"""Progress as lines, as bars and as nothing."""

from __future__ import annotations

import io
import logging
import re

import pytest
from rich.console import Console

from flows.views.progress import Lines, Live, amount, duration, pace, showing


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_lines_say_one_line_a_stage_and_one_every_few_seconds() -> None:
    said: list[str] = []
    clock = Clock()
    lines = Lines(said.append, every=5.0, clock=clock)
    lines.stage("scan")
    clock.now += 1
    lines.stage("embed")
    for done in range(1, 5):
        clock.now += 3
        lines.advance(done, 4, "chunks", tokens=done * 300)
    lines.close()
    lines.close()
    assert said == [
        "scan: 1.0 s",
        "embed: 2 of 4 chunks, 6.0 s, 100 tokens/s, 6.0 s left",
        "embed: 4 of 4 chunks, 12 s, 100 tokens/s",
    ]


def test_the_time_that_loading_takes_is_not_part_of_the_pace() -> None:
    said: list[str] = []
    clock = Clock()
    lines = Lines(said.append, every=5.0, clock=clock)
    lines.stage("embed")
    clock.now += 60
    lines.advance(10, 110, "chunks", tokens=1_000)
    clock.now += 10
    lines.advance(30, 110, "chunks", tokens=3_000)
    assert said == [
        "embed: 10 of 110 chunks, 1 min 0 s, 17 tokens/s",
        "embed: 30 of 110 chunks, 1 min 10 s, 200 tokens/s, 40 s left",
    ]


def test_figures_outside_of_any_stage_are_not_told() -> None:
    said: list[str] = []
    lines = Lines(said.append, every=5.0, clock=Clock())
    lines.advance(10, None, "documents")
    lines.stage("scan")
    lines.close()
    lines.advance(20, None, "documents")
    lines.close()
    assert said == ["scan: 0.0 s"]


def test_a_stage_without_figures_is_one_line() -> None:
    said: list[str] = []
    lines = Lines(said.append, clock=Clock())
    lines.stage("plan")
    lines.close()
    assert said == ["plan: 0.0 s"]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_lines_of_bars_leave_room_for_what_ctrl_c_writes(width: int) -> None:
    stream = io.StringIO()
    live = Live(Console(file=stream, force_terminal=True, width=width))
    live.stage("embed")
    live.advance(50_000, 100_000, "chunks", tokens=50)
    live.advance(60_000, 100_000, "chunks", tokens=5_000_000)
    live.close(failed=True)
    lines = [re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", line) for line in re.split(r"[\r\n]+", stream.getvalue())]
    assert any("embed" in line for line in lines)
    assert max(map(len, lines)) <= width - 5


def test_bars_are_drawn_with_rate_and_finished() -> None:
    stream = io.StringIO()
    live = Live(Console(file=stream, force_terminal=True, width=100))
    live.advance(1, 2, "documents")  # before any stage: nothing to move
    live.stage("scan")
    live.advance(3, None, "documents")
    live.stage("embed")
    live.advance(5, 10, "chunks", tokens=50)
    live.close()
    drawn = stream.getvalue()
    assert "scan" in drawn
    assert "3 documents" in drawn
    assert "5 of 10 chunks" in drawn


def test_without_a_terminal_the_progress_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="flows.views.progress"), showing(io.StringIO()) as progress:
        progress.stage("scan")
    assert caplog.messages == ["scan: 0.0 s"]


def test_bars_are_left_unfinished_where_a_run_fails() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    with pytest.raises(RuntimeError), showing(terminal) as progress:
        progress.stage("scan")
        progress.advance(1, 4, "documents")
        raise RuntimeError
    assert "1 of 4 documents" in terminal.getvalue()


def test_times_and_amounts_are_written_as_people_read_them() -> None:
    assert [duration(seconds) for seconds in (0.04, 9.94, 9.96, 59.6, 200, 7500)] == [
        "0.0 s",
        "9.9 s",
        "10 s",
        "1 min 0 s",
        "3 min 20 s",
        "2 h 5 min",
    ]
    assert amount(1200, None) == "1,200"
    assert amount(1200, 5000) == "1,200 of 5,000"
    assert pace(0, 10, 0, 5) == ""
    assert pace(5, 10, 0, 0.5) == ""
    assert pace(5, 10, 500, 5) == "100 tokens/s, 5.0 s left"
