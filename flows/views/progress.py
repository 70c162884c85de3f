"""Where a run says how far it is: a bar on a terminal, plain lines in a log."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from tasks.progress import Progress

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

    from flows.views.live import Bars

__all__ = ["Lines", "Live", "amount", "duration", "pace", "showing"]

logger = logging.getLogger(__name__)


class Rate:
    """How fast a stage goes, measured from its first sign of life: loading a model is not part of the pace."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.restart()

    def restart(self) -> None:
        """Begin a stage."""
        self._began = self._clock()
        self._first: tuple[float, int, int] | None = None
        self._last = 0

    def note(self, done: int, tokens: int) -> None:
        """Remember the first report of the stage, and of each part of it: where fewer are done, another has begun."""
        if self._first is None or done < self._last:
            self._first = (self._clock(), done, tokens)
        self._last = done

    def told(self, done: int, total: int | None, tokens: int) -> str:
        """Write tokens a second and the time left, as far as they are known."""
        since, before, spent = self._first or (self._began, 0, 0)
        if done == before:  # one report only: the stage as a whole is all that can be said
            return pace(done, None, tokens, self._clock() - self._began)
        rest = None if total is None else total - before
        return pace(done - before, rest, tokens - spent, self._clock() - since)


class Lines:
    """One log line at the start of a stage, one every few seconds, one at its end: for logs and pipes."""

    def __init__(
        self,
        say: Callable[[str], None] = logger.info,
        every: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._say = say
        self._every = every
        self._clock = clock
        self._name: str | None = None
        self._began = self._said = 0.0
        self._rate = Rate(clock)
        self._latest: tuple[int, int | None, str, int] | None = None
        self._told: tuple[int, int | None, str, int] | None = None

    def stage(self, name: str) -> None:
        """Say how the stage before ended, and remember the new one."""
        self.close()
        self._name = name
        self._began = self._said = self._clock()
        self._latest = self._told = None
        self._rate.restart()

    def advance(self, done: int, total: int | None, unit: str, tokens: int = 0) -> None:
        """Say how far the stage is, unless that was said a moment ago, or no stage has begun."""
        if self._name is None:
            return
        self._latest = (done, total, unit, tokens)
        self._rate.note(done, tokens)
        now = self._clock()
        if now - self._said >= self._every:
            self._said, self._told = now, self._latest
            self._say(self._line(now))

    def close(self) -> None:
        """Say how the last stage ended."""
        if self._name is not None and (self._latest is None or self._latest != self._told):
            self._say(self._line(self._clock()))
        self._name = None

    def _line(self, now: float) -> str:
        """Describe the stage in one line."""
        seconds = now - self._began
        if self._latest is None:
            return f"{self._name}: {duration(seconds)}"
        done, total, unit, tokens = self._latest
        parts = [f"{self._name}: {amount(done, total)} {unit}", duration(seconds)]
        parts += [self._rate.told(done, total, tokens)]
        return ", ".join(part for part in parts if part)


class Live:
    """A bar for each stage on a terminal, with tokens a second and the time left."""

    def __init__(self, console: Console) -> None:
        from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn

        from flows.views.live import Bars

        self._bars: Bars = Bars(
            SpinnerColumn(style="cyan", finished_text="[green]✓[/]"),
            TextColumn("{task.description:<12}"),
            BarColumn(bar_width=28, complete_style="cyan", finished_style="green", pulse_style="cyan"),
            TextColumn("{task.fields[amount]}", style="default", justify="right"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[pace]}", style="dim"),
            console=console,
            expand=False,
        )
        self._task: TaskID | None = None
        self._rate = Rate()
        self._bars.start()

    def stage(self, name: str) -> None:
        """Finish the bar of the stage before and draw a new one."""
        self._finish()
        self._rate.restart()
        self._task = self._bars.add_task(name, total=None, amount="", pace="")

    def advance(self, done: int, total: int | None, unit: str, tokens: int = 0) -> None:
        """Move the bar of the stage."""
        if self._task is None:
            return
        self._rate.note(done, tokens)
        self._bars.update(
            self._task,
            completed=done,
            total=total,
            amount=f"{amount(done, total)} {unit}",
            pace=self._rate.told(done, total, tokens),
        )

    def close(self, failed: bool = False) -> None:
        """Leave the bars as they are and give the terminal back.

        Args:
            failed: The last stage did not end well; its bar is left unfinished.
        """
        if not failed:
            self._finish()
        self._bars.stop()

    def _finish(self) -> None:
        """Fill the bar of the last stage and stop its clock."""
        if self._task is None:
            return
        (task,) = (task for task in self._bars.tasks if task.id == self._task)
        end = max(task.completed, 1)
        self._bars.update(self._task, completed=end, total=end)
        self._task = None


@contextmanager
def showing(stream: TextIO | None = None) -> Iterator[Progress]:
    """Give the progress that fits the stream: bars on a terminal, log lines elsewhere.

    Args:
        stream: Where it is shown; standard error if None.
    """
    stream = sys.stderr if stream is None else stream
    if not stream.isatty():
        lines = Lines()
        try:
            yield lines
        finally:
            lines.close()
        return
    from rich.console import Console

    live = Live(Console(file=stream))
    try:
        yield live
    except BaseException:
        live.close(failed=True)
        raise
    live.close()


def amount(done: int, total: int | None) -> str:
    """Write how much is done: "1,200 of 5,000"."""
    return f"{done:,}" if total is None else f"{done:,} of {total:,}"


def pace(done: int, total: int | None, tokens: int, seconds: float) -> str:
    """Write tokens a second and the time left, as far as they are known.

    Args:
        done: Units done.
        total: Units in all, None if unknown.
        tokens: Tokens done, 0 if they are not counted.
        seconds: Time spent so far.
    """
    parts = []
    if tokens and seconds > 0:
        parts.append(f"{tokens / seconds:,.0f} tokens/s")
    if total is not None and 0 < done < total and seconds >= 1:
        parts.append(f"{duration(seconds / done * (total - done))} left")
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """Write a time as people read it: "0.4 s", "12 s", "3 min 20 s", "2 h 5 min"."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
