"""A process that reads HTML for the folder source, and is ended where a document takes too long."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self, cast

import orjson

from storage.sources.markup import Page, tidy

__all__ = ["HtmlReader"]

# The parser holds the interpreter's lock, and its time grows with the square of some pages: in this process it would
# stop all threads, and could not be stopped itself. The module needs neither polars nor the other sources.
_CHILD = (
    "import sys; sys.path[:] = sys.argv[1:]\nfrom storage.html import serve; serve(sys.stdin.buffer, sys.stdout.buffer)"
)
_ROOT = str(Path(__file__).resolve().parents[2])  # first: somebody's own `storage` may come before ours on the path
_START = 120.0  # seconds; it takes a fraction of one
_GRACE = 2.0  # seconds between the end of a pipe and that of its process
_PIPE = 64 * 1024  # bytes


class HtmlReader:
    """Gives the visible text of pages; the process starts with the first of them.

    Args:
        seconds: How long a page may take.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        self._end()

    def pages(self, raws: Sequence[bytes]) -> list[Page]:
        """Read pages; whatever becomes of the process costs the page at hand alone.

        Several at once are read faster than one by one, since neither process then waits for the other.

        Raises:
            OSError: The process cannot be started.
        """
        read: list[Page] = []
        while len(read) < len(raws):
            # Those behind a page that ended the process were sent in vain, and are sent again.
            process = self._process or self._start()
            try:
                for answer in _answers(process, raws[len(read) :], self._seconds):
                    read.append(_page(answer))
            except TimeoutError:
                self._end()
                limit = f"{self._seconds:g} s to read (max_seconds)"
                read.append(Page("", None, f"took longer than {limit}: simplify it, exclude it or allow more"))
            except (EOFError, BrokenPipeError):
                read.append(Page("", None, f"cannot be read: the process that reads HTML {self._end(_GRACE)}"))
        return read

    def _start(self) -> subprocess.Popen[bytes]:
        # A session of its own: Ctrl-C in the terminal is for this process, which then ends that one.
        process = self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", _CHILD, _ROOT, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,
        )
        for stream in (process.stdin, process.stdout):
            os.set_blocking(_place(stream), False)
        try:
            next(_answers(process, (), _START, greeting=True))
        except (TimeoutError, EOFError) as error:
            raise OSError(f"the process that reads HTML does not start: it {self._end(_GRACE)}") from error
        return process

    def _end(self, grace: float = 0.0) -> str:
        """Kill the process, unless it ends by itself within `grace` seconds; tells how it ended."""
        process, self._process = self._process, None
        if process is None:
            return "is gone"
        with process:  # closes the pipes
            with suppress(subprocess.TimeoutExpired):
                process.wait(grace)
            process.kill()
        code = process.returncode
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def _page(answer: bytes) -> Page:
    found = orjson.loads(answer)
    return Page(found["text"], tidy(found["title"]), found["problem"], found["hidden"])


def _answers(
    process: subprocess.Popen[bytes], raws: Sequence[bytes], seconds: float, *, greeting: bool = False
) -> Iterator[bytes]:
    """Ask about pages, and yield the answers one by one.

    Raises:
        TimeoutError: An answer took longer.
        EOFError, BrokenPipeError: The process ended.
    """
    unsent = memoryview(b"".join(len(raw).to_bytes(8, "big") + raw for raw in raws))
    received = bytearray()
    for _ in range(len(raws) + greeting):
        deadline = time.monotonic() + seconds
        while len(received) < 8 or len(received) < (end := 8 + int.from_bytes(received[:8], "big")):
            unsent = _exchange(process, unsent, received, deadline)
        yield bytes(received[8:end])
        del received[:end]


def _exchange(process: subprocess.Popen[bytes], unsent: memoryview, received: bytearray, deadline: float) -> memoryview:
    """Wait, with the interpreter's lock free, until a pipe is ready; send and receive what it takes.

    Both at once: else each process might wait for the other to empty a full pipe.
    """
    asks, answers = _place(process.stdin), _place(process.stdout)
    waiting = select.poll()
    waiting.register(answers, select.POLLIN)
    if unsent:
        waiting.register(asks, select.POLLOUT)
    ready = dict(waiting.poll(max(0.0, deadline - time.monotonic()) * 1_000))
    if not ready:
        raise TimeoutError
    if answers in ready:
        part = os.read(answers, _PIPE)
        if not part:
            raise EOFError
        received += part
    if asks in ready:
        return unsent[os.write(asks, unsent[:_PIPE]) :]
    return unsent


def _place(stream: IO[bytes] | None) -> int:
    return cast("IO[bytes]", stream).fileno()
