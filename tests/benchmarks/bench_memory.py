"""Peak memory of a first build at a size and at ten times that size, with a free encoder.

Usage: bench_memory.py [CHUNKS]   (default 20000)
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from workload import Corpus, configure, fresh, table, tidemark


def main() -> None:
    """Build both sizes and print peaks and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("chunks", nargs="?", type=int, default=20_000)
    base = parser.parse_args().chunks
    rows, peaks = [], []
    with tempfile.TemporaryDirectory() as root:
        for chunks in (base, 10 * base):
            folder = fresh(Path(root) / str(chunks))
            corpus = Corpus(folder / "docs", chunks)
            configure(folder)
            build, told = tidemark(folder, "refresh")
            same, _ = tidemark(folder, "refresh")
            corpus.edit(0.01)
            edit, _ = tidemark(folder, "refresh")
            peaks.append((build.peak, same.peak, edit.peak))
            counts = told["counts"]
            assert isinstance(counts, dict)
            rows.append((f"{counts['chunks']:,}", f"{build.wall:.0f}", *(f"{peak:.0f}" for peak in peaks[-1])))
    ratios = [f"{large / small:.2f}" for small, large in zip(*peaks, strict=True)]
    rows.append(("ratio (asked: 1.2)", "", *ratios))
    print(table(("chunks", "build s", "build MiB", "no change MiB", "1 % edited MiB"), rows))


if __name__ == "__main__":
    main()
