"""The understudy of a lease's holder: a process that gives signs of life while none of the holder's threads can."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

__all__ = ["Understudy"]

logger = logging.getLogger(__name__)

_SCRIPT = Path(__file__).with_name("understudy.py")
_GRACE = 1.0  # seconds for it to end by itself


class Understudy:
    """Renews a lease whose holder is silent: a C function that keeps the interpreter's lock stops every thread.

    It costs a process that sleeps. A holder without one, or whose understudy dies, is as well off as its own threads.

    Args:
        module: Name of the module whose `renew(uri, token)` gives a sign of life.
        uri: The store; what it needs to be opened comes with the environment.
        token: The holder's.
        beat: Seconds between two signs of life.
    """

    def __init__(self, module: str, uri: str, token: int, beat: float) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        root = str(Path(__file__).parents[len(__name__.split(".")) - 1])
        job = {"path": [root, *sys.path], "module": module, "uri": uri, "token": token}
        try:
            # In a session of its own, so that Ctrl-C in the terminal leaves it to the holder; without site-packages,
            # which it looks at only when it is needed.
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_SCRIPT), str(os.getpid()), str(beat)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                start_new_session=True,
            )
            self._say(json.dumps(job).encode() + b"\n")
        except OSError as error:
            logger.warning("no process stands in for the lease's signs of life: %s", error)

    def tell(self) -> None:
        """Say that the holder has just given a sign of life itself."""
        with suppress(OSError):  # it has ended
            self._say(b".")

    def dismiss(self) -> None:
        """Have it end, and wait until it has: nothing is renewed after this."""
        process, self._process = self._process, None
        if process is None:
            return
        with process:  # closes the pipe
            if process.stdin is not None:
                process.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE)
            process.kill()

    def _say(self, words: bytes) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.write(words)
