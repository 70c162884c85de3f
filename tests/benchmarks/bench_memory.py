"""Time and peak memory of a first build and of nights at two sizes, with a free encoder.

Usage: bench_memory.py [--chunks N] [--against N]   (default 200000 and 20000; a million takes long:
`bench_memory.py --chunks 1000000 --against 100000`)
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from workload import Corpus, Timing, configure, fresh, table, tidemark

NIGHTS = ("first build", "no change", "1 % edited", "dearest of the next four")
MORE = 4  # nights with 1 % edited each: parts of the indexes are merged in some of them, and rows are deleted in all


def measured(folder: Path, chunks: int) -> tuple[int, list[Timing]]:
    """How many chunks a corpus of about so many gave, and what each of NIGHTS cost; the folder is removed."""
    corpus = Corpus(fresh(folder) / "docs", chunks)
    configure(folder)
    build, told = tidemark(folder, "refresh")
    same, _ = tidemark(folder, "refresh")
    corpus.edit(0.01)
    edit, _ = tidemark(folder, "refresh")
    more = []
    for _ in range(MORE):
        corpus.edit(0.01)
        more.append(tidemark(folder, "refresh")[0])
    counts = told["counts"]
    assert isinstance(counts, dict)
    return int(counts["chunks"]), [build, same, edit, max(more, key=lambda night: night.cpu)]


def main() -> None:
    """Measure both sizes and print what each night cost, and the ratio of the peaks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=200_000)
    parser.add_argument("--against", type=int, default=20_000, help="the smaller size")
    options = parser.parse_args()
    rows: list[tuple[str, ...]] = []
    peaks = []
    for chunks in (options.against, options.chunks):
        with tempfile.TemporaryDirectory() as root:  # of one size at a time: a million chunks are some gigabytes
            held, timings = measured(Path(root) / "memory", chunks)
        peaks.append([timing.peak for timing in timings])
        for name, timing in zip(NIGHTS, timings, strict=True):
            rows.append((f"{held:,}", name, f"{timing.wall:.1f}", f"{timing.cpu:.1f}", f"{timing.peak:.0f}"))
    for name, small, large in zip(NIGHTS, *peaks, strict=True):
        rows.append(("ratio of peaks (asked: 1.2)", name, "", "", f"{large / small:.2f}"))
    print(table(("chunks", "night", "wall s", "CPU s", "peak MiB"), rows))


if __name__ == "__main__":
    main()
