"""What watching costs a night at 200,000 chunks: the same nights in two stores, in one of which nothing is watched.

Usage: bench_watching.py [CHUNKS] [--nights N]   (default 200000 and 5)
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

from workload import COMMAND, Corpus, Timing, fresh, run, table, tidemark

CONFIG = """\
[encoder]
name = "stub"
[[sources]]
name = "docs"
kind = "folder"
path = "../docs"
"""
OFF = "[drift]\n" + "".join(f"{family} = false\n" for family in ("data", "embeddings", "queries", "encoder", "quality"))
ASKED = {"seconds": 2.0, "MiB": 100.0, "page": 5.0}


def place(folder: Path, config: str) -> Path:
    """A folder with a configuration over the same documents."""
    folder.mkdir()
    (folder / "tidemark.toml").write_text(config)
    return folder


def spread(values: list[float], unit: str) -> str:
    """Median, least and most."""
    return f"{statistics.median(values):.2f} {unit} ({min(values):.2f} to {max(values):.2f})"


def main() -> None:
    """Measure and print the table with what is asked of each figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chunks", nargs="?", type=int, default=200_000)
    parser.add_argument("--nights", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        folder = fresh(Path(root) / "watching")
        corpus = Corpus(folder / "docs", options.chunks)
        watched, blind = place(folder / "watched", CONFIG), place(folder / "blind", CONFIG + OFF)
        tidemark(watched, "refresh")
        shutil.copytree(watched / "store", blind / "store")
        nights: list[tuple[Timing, Timing, float]] = []
        for number in range(options.nights):
            corpus.edit(0.01)
            cost: dict[Path, tuple[Timing, Any]] = {}
            for each in (watched, blind) if number % 2 else (blind, watched):  # neither always warms the other's files
                cost[each] = tidemark(each, "refresh")
            seconds = cost[watched][1]["seconds"]
            stages = sum(seconds.get(name, 0.0) for name in ("canary", "queries", "drift"))
            nights.append((cost[watched][0], cost[blind][0], stages))
        page = [*COMMAND, "report", "-o", "report.html"]
        pages = [run(page, watched) for _ in range(3)]
    cpu = [on.cpu - off.cpu for on, off, _ in nights]
    peak = [on.peak - off.peak for on, off, _ in nights]
    rows = [
        ("a night of 1 %, nothing watched", spread([off.wall for _, off, _ in nights], "s"), ""),
        ("the same, watched", spread([on.wall for on, _, _ in nights], "s"), ""),
        ("stages canary, queries and drift", spread([stages for *_, stages in nights], "s"), ASKED["seconds"]),
        ("more CPU seconds", spread(cpu, "s"), ""),
        ("more memory at the peak", spread(peak, "MiB"), ASKED["MiB"]),
        ("tidemark report", spread([each.wall for each in pages], "s"), ASKED["page"]),
    ]
    print(table((f"{options.chunks:,} chunks, {options.nights} nights", "median (least to most)", "asked"), rows))


if __name__ == "__main__":
    main()
