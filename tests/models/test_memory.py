"""A network keeps its freed blocks from batch to batch; everything else gives them back at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from models.memory import LARGE

BLOCK = 3 * LARGE // 2
TOUCH = f"""
import resource
from models import memory
from models.memory import return_memory, reuse_memory
memory.ENOUGH = 0

def faults(times):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        b"x" * {BLOCK}  # numpy would ask for huge pages
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

return_memory()
faults(1)
"""


def _run(code: str) -> list[int]:
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", TOUCH + code], cwd=root, capture_output=True, text=True, check=True)
    return [int(word) for word in done.stdout.split()]


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only glibc has the thresholds")


def test_blocks_that_come_again_are_paged_in_once() -> None:
    apart, inside, after = _run(
        """
apart = faults(50)
with reuse_memory():
    with reuse_memory():  # as a look at dev questions in a training
        faults(1)
    inside = faults(50)
print(apart, inside, faults(50))
"""
    )
    pages = BLOCK // 4096
    assert apart >= 25 * pages  # at least half: a kernel may hand out larger pages
    assert inside < 4 * pages
    assert after >= 25 * pages


def test_what_was_kept_is_given_back_at_the_end() -> None:
    held, left = _run(
        f"""
def rss():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
start = rss()
with reuse_memory():
    blocks = [b"%d" % each * ({BLOCK} // 2) for each in range(10, 22)]
    del blocks
    held = rss() - start
print(held, rss() - start)
"""
    )
    assert held >= 8 * BLOCK
    assert left < 2 * BLOCK


def test_of_a_small_process_nothing_is_given_back() -> None:
    calls = _run(
        """
import ctypes
calls = []
memory._libc = lambda: type("Libc", (), {"malloc_trim": lambda self, spare: calls.append(spare)})()
memory.ENOUGH = 10 * 2**30
memory.trim_memory()
few = len(calls)
memory.ENOUGH = 2**20
memory.trim_memory()
print(few, len(calls))
"""
    )
    assert calls == [0, 1]


def test_what_is_freed_between_blocks_that_stay_is_given_back_while_a_library_is_at_work() -> None:
    full, before, inside, threads = _run(
        """
import threading, time
from models.memory import trimming

def rss():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()

def fill():
    return [b"%d" % each * 2**18 for each in range(10, 99)]

start, blocks = rss(), fill()
full = rss() - start
stay = blocks[::8]
del blocks
before = rss() - start
try:
    with trimming(0.01):
        deadline = time.monotonic() + 20
        while rss() - start > full // 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        inside = rss() - start
        raise ValueError
except ValueError:
    print(full, before, inside, threading.active_count())
"""
    )
    assert before > 0.8 * full
    assert inside < 0.5 * full
    assert threads == 1
