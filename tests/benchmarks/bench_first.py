"""CPU seconds of a first build with a free encoder: whole, without words and drift, and of an older checkout, in turn.

Usage: bench_first.py [--chunks N] [--rounds N] [--beside FOLDER]   (default 38000 and 3)
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from bench_bars import command
from workload import ROOT, Corpus, Timing, configure, fresh, run, spread, table

ASKED = 8.0  # CPU seconds for 38,000 chunks, where the first release took 14.7
WATCHES = ("data", "embeddings", "queries", "encoder", "quality")
LESS = "[index]\ntext = false\n[drift]\n" + "".join(f"{name} = false\n" for name in WATCHES)


def built(folder: Path, checkout: Path, more: str) -> Timing:
    """What a first build of the documents beside a folder costs."""
    configure(fresh(folder), docs="../docs", more=more)
    return run([*command(checkout), "refresh"], folder, checkout)


def measured(folder: Path, chunks: int, count: int, beside: Path | None) -> Iterator[tuple[str, ...]]:
    """A row a build; the checkouts in turn, of which the first round compiles and is not counted."""
    Corpus(folder / "docs", chunks)
    builds = {"all": (ROOT, ""), "without words and drift": (ROOT, LESS)}
    if beside is not None:
        builds["beside"] = (beside, "")
    found: dict[str, list[Timing]] = {name: [] for name in builds}
    for number in range(count + 1):
        for name in builds if number % 2 else reversed(builds):
            found[name].append(built(folder / "build", *builds[name]))
    for name, timings in found.items():
        seconds, peaks = [timing.cpu for timing in timings[1:]], [timing.peak for timing in timings[1:]]
        ratio = () if beside is None else (f"{median(seconds) / median(each.cpu for each in found['beside'][1:]):.2f}",)
        yield (name, *spread(seconds, 1), f"{median(peaks):.0f}", *ratio)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=38_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--beside", type=Path, help="an older checkout of this repository")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        beside = None if options.beside is None else options.beside.resolve()
        rows = list(measured(Path(folder), options.chunks, options.rounds, beside))
    ratio = () if options.beside is None else ("ratio",)
    header = (f"CPU s, {options.chunks:,} chunks (asked: {ASKED})", "median", "range", "peak MiB", *ratio)
    print(table(header, rows))


if __name__ == "__main__":
    main()
