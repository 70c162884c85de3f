"""What becomes of memory that was freed: given back to the system at once, or kept while the same sizes come again."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

__all__ = ["return_memory", "reuse_memory", "trim_memory", "trimming"]

# Parameters of mallopt(3), and sizes in bytes: from which a block is large, and the most that glibc takes for it.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
# A few thousand vectors are a block below it: mapped anew each time, such blocks took a first build of 38,000 chunks a
# 20th of its time; those of the next size bring no more, and leave a million chunks in more pieces.
LARGE, LARGEST = 16 * 2**20, 32 * 2**20
SPARE = 64 * 2**20  # bytes of free memory that may stay at the top of the heap: smaller blocks come again and again
ENOUGH = 448 * 2**20  # bytes of this process below which none are given back: to take them anew costs a build a 15th
KEPT = 2**31 - 1  # bytes of free memory that a network may keep between two batches: as much as glibc can be told


@dataclass
class _Process:
    """What this process asked for.

    Attributes:
        returning: Freed blocks are given back at once.
        reusing: How many keep theirs right now: a look at dev questions encodes in the middle of a training.
    """

    returning: bool = False
    reusing: int = 0


_process = _Process()


def return_memory() -> None:
    """Have glibc give large blocks back to the system as soon as they are freed; elsewhere nothing happens.

    By itself it raises its thresholds with every large block that is freed, up to 32 MiB, and keeps an arena a thread:
    a run over ten times the chunks then holds twice the memory, most of it free (mallopt(3)). Of two arenas, one for
    all but the first thread, a million chunks left 30 MiB more in pieces than of one, in the same time.
    """
    _process.returning = _set(LARGE, SPARE)


@contextmanager
def reuse_memory() -> Iterator[None]:
    """Have a network keep its freed blocks from batch to batch, and give all of them back at the end.

    What `return_memory` asks for costs a network a third of its time: each layer's result is a large block, which the
    system hands out page by page, and clears.
    """
    if not _process.returning:
        yield
        return
    _process.reusing += 1
    _set(LARGEST, KEPT)
    try:
        yield
    finally:
        _process.reusing -= 1
        if not _process.reusing:
            _set(LARGE, SPARE)
        trim_memory()


def trim_memory() -> None:
    """Give back what is free between blocks that are not: once a stage is done, most of what it took is.

    A stage of a million chunks left 140 MiB so, where a hundred thousand left 50.
    """
    if _process.returning and not _process.reusing and _resident() > ENOUGH:
        _libc().malloc_trim(0)


@contextmanager
def trimming(seconds: float = 0.25) -> Iterator[None]:
    """Give back what is free again and again while a library is at work, which calls nothing of ours.

    What it was done with early, such as the rows that it read, would stay until its end, where it may take most.

    Args:
        seconds: Between two times; each takes a few thousandths of a second.
    """
    over = Event()

    def trim() -> None:
        while not over.wait(seconds):
            trim_memory()

    thread = Thread(target=trim, name="tidemark-trim", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        trim_memory()


def _resident() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _set(mmap: int, trim: int) -> bool:
    """Set the thresholds; tells whether there is a glibc to set them in."""
    if sys.platform != "linux" or not hasattr(_libc(), "mallopt"):
        return False
    for option, value in ((M_MMAP_THRESHOLD, mmap), (M_TRIM_THRESHOLD, trim), (M_ARENA_MAX, 1)):
        _libc().mallopt(option, value)
    return True


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)
