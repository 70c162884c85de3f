"""Time and peak memory of mining negatives in a table and in one ten times as large, with random vectors.

Usage: bench_mining.py [CHUNKS] [QUESTIONS]   (default 10000 2000)
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
from workload import table

from storage.hashing import digest
from storage.tables.chunks import ChunkTable, append
from storage.tables.store import Store
from tasks.learn.mine import mine

WIDTH = 384
ROWS = 5_000
NAME = "chunks__bench"


def vectors(rows: int, seed: int) -> np.ndarray:
    """Random unit vectors."""
    drawn = np.random.default_rng(seed).normal(size=(rows, WIDTH)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def slices(chunks: int) -> Iterator[tuple[pl.DataFrame, np.ndarray]]:
    """A table of one chunk a document."""
    for first in range(0, chunks, ROWS):
        names = [digest(str(number)) for number in range(first, first + ROWS)]
        frame = pl.DataFrame({"id": names, "key": names, "document": names, "hash": names}).with_columns(
            *(pl.lit(0, pl.Int32).alias(name) for name in ("ordinal", "start", "end", "tokens")),
            source=pl.lit("notes"),
            unit=pl.lit("characters"),
            text=pl.lit("word " * 100),
        )
        yield frame, vectors(ROWS, first)


def measure(folder: str, chunks: int, questions: int) -> None:
    """Mine in this process, and print seconds and peak MiB."""
    store = Store(folder)
    # Near its document, so that the ranks behind are worse than the positive.
    asked = vectors(min(questions, ROWS), 0)[:questions] * 0.9 + vectors(questions, 7) * 0.1
    asked /= np.linalg.norm(asked, axis=1, keepdims=True)
    right = pl.DataFrame({"query": range(questions), "key": [digest(str(n)) for n in range(questions)]})
    started = time.perf_counter()
    parts = mine(asked, right.cast({"query": pl.UInt32}), ChunkTable(store, NAME), n=4)
    found = sum(part.height for part in parts)
    seconds = time.perf_counter() - started
    print(f"{found} {seconds:.2f} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}")


def main() -> None:
    """Mine at both sizes, each in a process of its own, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("chunks", nargs="?", type=int, default=10_000)
    parser.add_argument("questions", nargs="?", type=int, default=2_000)
    parser.add_argument("--store")
    given = parser.parse_args()
    if given.store:
        measure(given.store, given.chunks, given.questions)
        return
    rows, peaks = [], []
    with tempfile.TemporaryDirectory() as root:
        for chunks in (given.chunks, 10 * given.chunks):
            folder = str(Path(root) / str(chunks))
            append(Store(folder), NAME, WIDTH, slices(chunks))
            command = [sys.executable, __file__, str(chunks), str(given.questions), "--store", folder]
            found, seconds, peak = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
            peaks.append(float(peak))
            rows.append((f"{chunks:,}", f"{given.questions:,}", f"{int(found):,}", seconds, peak))
    rows.append(("ratio (asked: 1.2)", "", "", "", f"{peaks[1] / peaks[0]:.2f}"))
    print(table(("documents", "questions", "negatives", "seconds", "peak MiB"), rows))


if __name__ == "__main__":
    main()
