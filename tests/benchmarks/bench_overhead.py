"""Everything but the encoder, beside the plain script: whole processes, a free encoder, one run.

Usage: bench_overhead.py [CHUNKS ...] [--cocoindex PYTHON]   (default 12000 100000)

With a Python that has `cocoindex` and `lancedb`, the same nights by CocoIndex too.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from encoding import tokens_per_second
from workload import WORDS_A_CHUNK, Corpus, Timing, configure, fresh, run, table, tidemark

NIGHTS = ("no change", "1 % edited", "1 % renamed", "1 % deleted")


def measure(chunks: int, folder: Path, cocoindex: str | None) -> list[dict[str, tuple[Timing, int]]]:
    """What first build and nights cost at one size, and how many chunks each embedded, by who does it."""
    work = fresh(folder / str(chunks))
    corpus = Corpus(work / "docs", chunks)
    configure(work)
    here, docs = Path(__file__).parent, str(corpus.folder)
    script = [sys.executable, str(here / "plain_script.py"), docs, str(work / "plain")]
    peer = cocoindex and [cocoindex, str(here / "cocoindex_flow.py"), docs, str(work / "coco")]
    rows = []
    for name in ("first build", *NIGHTS):
        if name not in {"first build", "no change"}:
            getattr(corpus, {"edited": "edit", "renamed": "rename", "deleted": "delete"}[name.split()[-1]])(0.01)
        ours, told = tidemark(work, "refresh")
        counts = told["counts"]
        assert isinstance(counts, dict)
        by = {"script": counted(run(script, work)), "tidemark": (ours, int(counts["embedded"]))}
        rows.append(by | ({"CocoIndex": counted(run(peer, work))} if peer else {}))
    return rows


def counted(timing: Timing) -> tuple[Timing, int]:
    """What a process cost, and how many chunks it says that it embedded."""
    return timing, int(timing.output.split()[0])


def main() -> None:
    """Measure every size and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("chunks", nargs="*", type=int, default=[12_000, 100_000])
    parser.add_argument("--cocoindex", metavar="PYTHON", help="a Python that has cocoindex and lancedb")
    given = parser.parse_args()
    speed = tokens_per_second()
    print(f"default encoder on this machine: {speed:,.0f} tokens/s\n")
    costs, rows = [], []
    with tempfile.TemporaryDirectory() as folder:
        for chunks in given.chunks:
            first = chunks * WORDS_A_CHUNK / speed
            for name, by in zip(("first build", *NIGHTS), measure(chunks, Path(folder), given.cocoindex), strict=True):
                (script, _), (ours, embedded) = by["script"], by["tidemark"]
                encoding = first if name == "first build" else first / 100
                rows.append(
                    (
                        f"{chunks:,}",
                        name,
                        f"{script.wall:.1f}",
                        f"{ours.wall:.1f}",
                        f"{ours.cpu:.1f}",
                        f"{ours.wall / script.wall:.1f}",
                        f"{embedded:,}",
                        f"{encoding:,.0f}",
                        f"{ours.wall / first:.2%}",
                    )
                )
                costs += [
                    (f"{chunks:,}", name, who, f"{cost.wall:.1f}", f"{cost.cpu:.1f}", f"{count:,}")
                    for who, (cost, count) in by.items()
                ]
    names = (
        "chunks",
        "night",
        "script s",
        "tidemark s",
        "CPU s",
        "ratio",
        "embedded",
        "encoding s",
        "of first encoding",
    )
    print(table(names, rows))
    print()
    print(table(("chunks", "night", "by", "wall s", "CPU s", "embedded"), costs))


if __name__ == "__main__":
    main()
