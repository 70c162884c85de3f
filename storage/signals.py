"""What must be over before a signal may end it, and whether one asks this process to end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

__all__ = ["Ending", "ending", "uninterrupted"]


@dataclass
class Ending:
    """Whether a signal has asked this process to end.

    Some libraries turn what a signal raises in them into an error of their own, which looks like damage to whoever
    tells damage. Until the process winds down, no error is taken for that (`storage.errors.faults`).

    Attributes:
        first: The signal that came first; None where none did.
        asked: One came, and nobody has begun to wind the process down, in which errors are what they seem again.
    """

    first: int | None = None
    asked: bool = False

    def ask(self, number: int) -> None:
        """A signal came."""
        self.first, self.asked = self.first or number, True

    def forget(self) -> None:
        """The process begins anew."""
        self.first, self.asked = None, False


ending = Ending()


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Within it SIGINT and SIGTERM wait; whoever handles them is told of the first when the block ends.

    Lance looks for signals while it commits, and leaves as soon as one is raised; the commit may be done all the same,
    by one of its threads, and nobody learns of it. A second signal waits no longer: it ends the process at once.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's affair
        return
    came: list[int] = []

    def wait(number: int, _: FrameType | None) -> None:
        if came:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        came.append(number)

    known = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    handled = {number: handler for number, handler in known.items() if handler is not None}  # None: not of Python
    try:
        for number in handled:
            signal.signal(number, wait)
        yield
    finally:
        for number, handler in handled.items():
            signal.signal(number, handler)
        for first in came:
            signal.raise_signal(first)
