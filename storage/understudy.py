"""Gives a run's signs of life while its own thread cannot: a script, which loads nothing until then."""

from __future__ import annotations

import os
import select
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing itself costs as much as all the rest
    from collections.abc import Callable

__all__: list[str] = []

_SILENT = 2  # beats without a word, after which the holder's own thread is taken to be stuck


def serve(parent: int, beat: float) -> None:
    """Listen to the holder of a lease, and renew it each beat while the holder says nothing but lives.

    On standard input come a line that tells what to renew (`Understudy`) and a byte after each renewal of the
    holder's own. At its end the holder has given the lease back, or is dead, and this process ends.

    Args:
        parent: Process id of the holder.
        beat: Seconds between two signs of life.
    """
    job = _job()
    patience = _SILENT * beat
    renew: Callable[[], bool] | None = None
    while job:
        if select.select([0], [], [], patience)[0]:
            if not os.read(0, 4096):
                return
            patience = _SILENT * beat
            continue
        if os.getppid() != parent:
            return  # dead, while a process that it forked holds its end of the pipe
        patience = beat
        if _stopped(parent):
            continue
        if renew is None:
            # It takes seconds: the holder may have been heard of meanwhile.
            renew, patience = _loaded(job), 0.0
        elif not _renewed(renew):
            return


def _job() -> bytes:
    job = b""
    while not job.endswith(b"\n"):
        part = os.read(0, 65_536)
        if not part:
            return b""
        job += part
    return job


def _stopped(pid: int) -> bool:
    """Tell whether a process is stopped (SIGSTOP, a debugger).

    It may never go on, so that nobody speaks for it: on this machine its lease holds as long as it exists, and another
    machine takes the lease over after its usual time. Without /proc there is no telling.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - pathlib takes longer to load than all the rest
            return file.read().rpartition(b")")[2].split()[0] in {b"T", b"t"}
    except OSError:
        return False


def _loaded(job: bytes) -> Callable[[], bool]:
    import json
    from functools import partial
    from importlib import import_module

    told = json.loads(job)
    sys.path[:] = told["path"]
    return partial(import_module(told["module"]).renew, told["uri"], told["token"])


def _renewed(renew: Callable[[], bool]) -> bool:
    """Renew the lease; tells whether it is still the holder's."""
    try:
        return renew()
    except OSError:
        return True  # one missed sign of life is no reason to give up


if __name__ == "__main__":
    serve(int(sys.argv[1]), float(sys.argv[2]))
