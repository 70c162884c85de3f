"""Everything but the encoder, beside the plain script: whole processes, a free encoder, one run.

Usage: bench_overhead.py [CHUNKS ...]   (default 12000 100000)
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from encoding import tokens_per_second
from workload import WORDS_A_CHUNK, Corpus, configure, fresh, run, table, tidemark

NIGHTS = ("no change", "1 % edited", "1 % renamed", "1 % deleted")


def measure(chunks: int, folder: Path) -> list[tuple[str, float, float, float, int]]:
    """Time first build and nights at one size: name, script seconds, our seconds, our CPU seconds, chunks embedded."""
    work = fresh(folder / str(chunks))
    corpus = Corpus(work / "docs", chunks)
    configure(work)
    script = [sys.executable, str(Path(__file__).parent / "plain_script.py"), str(corpus.folder), str(work / "plain")]
    rows = []
    for name in ("first build", *NIGHTS):
        if name not in {"first build", "no change"}:
            getattr(corpus, {"edited": "edit", "renamed": "rename", "deleted": "delete"}[name.split()[-1]])(0.01)
        theirs = run(script, work)
        ours, told = tidemark(work, "refresh")
        counts = told["counts"]
        assert isinstance(counts, dict)
        rows.append((name, theirs.wall, ours.wall, ours.cpu, int(counts["embedded"])))
    return rows


def main() -> None:
    """Measure every size and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("chunks", nargs="*", type=int, default=[12_000, 100_000])
    sizes = parser.parse_args().chunks
    speed = tokens_per_second()
    print(f"default encoder on this machine: {speed:,.0f} tokens/s\n")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for chunks in sizes:
            measured = measure(chunks, Path(folder))
            first = chunks * WORDS_A_CHUNK / speed
            for name, theirs, ours, cpu, embedded in measured:
                encoding = first if name == "first build" else first / 100
                share = f"{ours / first:.2%}"
                rows.append(
                    (
                        f"{chunks:,}",
                        name,
                        f"{theirs:.1f}",
                        f"{ours:.1f}",
                        f"{cpu:.1f}",
                        f"{ours / theirs:.1f}",
                        f"{embedded:,}",
                        f"{encoding:,.0f}",
                        share,
                    )
                )
    print(
        table(
            (
                "chunks",
                "night",
                "script s",
                "tidemark s",
                "CPU s",
                "ratio",
                "embedded",
                "encoding s",
                "of first encoding",
            ),
            rows,
        )
    )


if __name__ == "__main__":
    main()
