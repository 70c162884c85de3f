"""Leave the process of a command without taking the interpreter down, which costs a night up to a second."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Callable
from typing import NoReturn

__all__ = ["leaving"]


def leaving(command: Callable[[], None]) -> NoReturn:
    """Run a command as a process of its own, and end that as soon as all is written.

    Lease, record and tables are closed by then, and so nothing is left to do but to free memory, module by module: the
    operating system does that at once. What asked to be called at the end is called, in the interpreter's own order,
    and threads are waited for first. Prefect is left to end as it likes: it has news to send.

    Args:
        command: Ends by SystemExit, as typer ends; any other exception is the interpreter's affair.
    """
    code = 0
    try:
        command()
    except SystemExit as ended:
        if not isinstance(ended.code, int | None) or "prefect" in sys.modules:
            raise
        code = ended.code or 0
    shut_down: Callable[[], None] = threading._shutdown  # type: ignore[attr-defined] # waits for all that are no daemons
    shut_down()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        if stream is None:  # closed by whoever started this
            continue
        try:
            stream.flush()
        except (OSError, ValueError):  # a closed pipe has a way of its own to end
            sys.exit(code)
    os._exit(code)
