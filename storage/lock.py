"""A folder that one process of this machine holds at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from storage.errors import LeaseHeld

__all__ = ["alone_in"]


@contextmanager
def alone_in(folder: Path, refusal: str) -> Iterator[None]:
    """Hold a folder, which is made if it is not there and goes in the end if it is empty.

    The lock is the operating system's, on the folder itself: it ends with the process, however that ends, and leaves
    nothing behind.

    Args:
        folder: The folder.
        refusal: What to say where another process holds it.

    Raises:
        LeaseHeld: Another process holds it.
    """
    handle = _held(folder)
    if handle is None:
        raise LeaseHeld(refusal)
    try:
        yield
    finally:
        with suppress(OSError):  # what is in it stays
            folder.rmdir()
        os.close(handle)


def _held(folder: Path) -> int | None:
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # whoever held it before removed it since
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(handle).st_ino == folder.stat().st_ino:
                    return handle
            except BlockingIOError:
                os.close(handle)
                return None
            except FileNotFoundError:
                pass
            os.close(handle)
