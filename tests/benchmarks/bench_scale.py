"""A night at 200,000 chunks with a free encoder: nothing changed, 1 % changed, rollback.

Usage: bench_scale.py [--chunks N]   (default 200000; memory at two sizes, a million among them, is bench_memory.py's)
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from workload import Corpus, configure, fresh, table, tidemark

from flows.config.schema import Config
from storage.tables.releases import Releases
from storage.tables.store import Store


def rollbacks(folder: Path, count: int = 21) -> list[float]:
    """Seconds of rollbacks to and fro, after one that opens everything."""
    config = Config.load(folder / "tidemark.toml")
    store = Store(config.store.uri)
    seconds = []
    for _ in range(count):
        current = Releases(store).get()
        other = next(r.seq for r in Releases(store).retained() if r.tables != current.tables)
        began = time.perf_counter()
        Releases(store).rollback(other, "bench")
        seconds.append(time.perf_counter() - began)
    return seconds[1:]


def main() -> None:
    """Measure and print the table with what is asked of each figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=200_000)
    chunks = parser.parse_args().chunks
    with tempfile.TemporaryDirectory() as root:
        folder = fresh(Path(root) / "scale")
        corpus = Corpus(folder / "docs", chunks)
        configure(folder)
        first, told = tidemark(folder, "refresh")
        embedded = told["counts"]["embedded"]  # type: ignore[index]
        rows = [("first build", f"{first.wall:.1f} s", f"{first.cpu:.1f} s", "", f"{first.peak:.0f}", embedded)]
        same, told = tidemark(folder, "refresh")
        embedded = told["counts"]["embedded"]  # type: ignore[index]
        rows.append(("no change", f"{same.wall:.1f} s", f"{same.cpu:.1f} s", "< 20 s", f"{same.peak:.0f}", embedded))
        corpus.edit(0.01)
        edit, told = tidemark(folder, "refresh")
        allowed = 1.5 * first.wall / 100 + 20
        embedded, limit = told["counts"]["embedded"], f"< {allowed:.1f} s"  # type: ignore[index]
        rows.append(("1 % edited", f"{edit.wall:.1f} s", f"{edit.cpu:.1f} s", limit, f"{edit.peak:.0f}", embedded))
        back = [1000 * second for second in rollbacks(folder)]
        spread = f"{statistics.median(back):.0f} ms ({min(back):.0f} to {max(back):.0f})"
        rows.append(("rollback", spread, "", "< 50 ms", "", ""))
        print(table((f"{chunks:,} chunks", "wall", "CPU", "asked", "peak MiB", "embedded"), rows))


if __name__ == "__main__":
    main()
