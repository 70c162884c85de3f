"""What stops a command from outside: Ctrl-C and SIGTERM, whatever library was at work when they came."""

from __future__ import annotations

import signal
import threading
from types import FrameType

from storage.signals import ending

__all__ = ["Terminated", "heed", "stopped"]


class Terminated(KeyboardInterrupt):
    """The process was told to end (SIGTERM)."""


def heed() -> None:
    """Have both signals end the process in order: the run is recorded as interrupted, and its lease given back.

    Some libraries turn what a signal raises in them into an error of their own. So what came is remembered, and
    `stopped` tells it from a failure. A second signal does not wait for the first one's order.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    ending.forget()
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as `nohup` and shells ask for what runs behind them
            signal.signal(number, _stop)


def stopped() -> int | None:
    """The signal that asked this process to end; None where none did."""
    return ending.first


def _stop(number: int, _: FrameType | None) -> None:
    ending.ask(number)
    signal.signal(number, signal.SIG_DFL)
    raise Terminated if number == signal.SIGTERM else KeyboardInterrupt
