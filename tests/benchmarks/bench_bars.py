"""CPU seconds of whole commands, bytecode compiled before; on demand beside those of an older checkout.

Usage: bench_bars.py [--chunks N] [--rounds N] [--beside FOLDER]   (default 6000 and 5)
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import median

from workload import ROOT, Corpus, configure, fresh, run, spread, table

FEW = 60  # chunks of the index that is searched with a network
QUESTION = "a sentence that was not there before"
OLD = "import sys; sys.argv[0] = 'tidemark'; from flows.cli import main; main()"
# Command to the CPU seconds that are asked of it at 6,000 chunks.
ASKED = {"--help": 0.15, "releases": 0.5, "refresh, no change": 0.6, "refresh, 1 % edited": 2.2, "search, MiniLM": 2.6}


def command(checkout: Path) -> list[str]:
    """How a checkout is started as its installed command is."""
    entry = checkout / "flows" / "entry" / "tidemark.py"
    return [sys.executable, str(entry)] if entry.is_file() else [sys.executable, "-c", OLD]


def prepared(folder: Path, checkouts: Mapping[str, Path], encoder: str) -> dict[str, Path]:
    """A store for every checkout, of the documents beside them."""
    places = {}
    for name, checkout in checkouts.items():
        places[name] = fresh(folder / name)
        configure(places[name], encoder, "../docs")
        run([*command(checkout), "refresh"], places[name], checkout)
    return places


def rounds(
    count: int,
    checkouts: Mapping[str, Path],
    places: Mapping[str, Path],
    arguments: tuple[str, ...],
    before: Callable[[], None] | None,
) -> dict[str, list[float]]:
    """CPU seconds of a command, the checkouts in turn; the first round compiles, and is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in checkouts}
    for number in range(count + 1):
        if before is not None:
            before()
        order = list(checkouts) if number % 2 else list(reversed(checkouts))
        for name in order:
            seconds[name].append(run([*command(checkouts[name]), *arguments], places[name], checkouts[name]).cpu)
    return {name: found[1:] for name, found in seconds.items()}


def measured(folder: Path, chunks: int, count: int, checkouts: Mapping[str, Path]) -> Iterator[tuple[str, ...]]:
    """A row a command."""
    corpus = Corpus(folder / "nights" / "docs", chunks)
    places = prepared(folder / "nights", checkouts, "stub")
    Corpus(folder / "search" / "docs", FEW)
    small = prepared(folder / "search", checkouts, "all-MiniLM-L6-v2")
    commands: dict[str, tuple[Mapping[str, Path], tuple[str, ...], Callable[[], None] | None]] = {
        "--help": (places, ("--help",), None),
        "releases": (places, ("releases",), None),
        "refresh, no change": (places, ("refresh",), None),
        "refresh, 1 % edited": (places, ("refresh",), lambda: corpus.edit(0.01)),
        "search, MiniLM": (small, ("search", QUESTION), None),
    }
    for name, (where, arguments, before) in commands.items():
        found = rounds(count, checkouts, where, arguments, before)
        ours = median(found["here"])
        beside = (
            (f"{median(found['beside']):.2f}", f"{ours / median(found['beside']):.2f}") if "beside" in found else ()
        )
        yield (name, *spread(found["here"], 2), f"{ASKED[name]:.2f}", *beside)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=6_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--beside", type=Path, help="an older checkout of this repository")
    options = parser.parse_args()
    checkouts = {"here": ROOT} | ({} if options.beside is None else {"beside": options.beside.resolve()})
    with tempfile.TemporaryDirectory() as folder:
        rows = list(measured(Path(folder), options.chunks, options.rounds, checkouts))
    beside = ("beside", "ratio") if len(checkouts) > 1 else ()
    print(table((f"CPU s, {options.chunks:,} chunks", "median", "range", "asked", *beside), rows))


if __name__ == "__main__":
    main()
