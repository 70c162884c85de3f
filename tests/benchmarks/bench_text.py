"""Time and size of the full-text index: built, extended by a night of 1 % of the chunks, and asked."""

from __future__ import annotations

import argparse
import itertools
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import numpy as np
import polars as pl

from storage.hashing import digest
from storage.tables import chunks
from storage.tables.chunks import ChunkTable
from storage.tables.store import Store
from storage.tables.words import build_text, extend_text, matching

TABLE = "chunks__bench"
DIMENSION = 8
WORDS = 120  # a chunk
QUERIES = 100
VOCABULARY = [f"word{number}" for number in range(50_000)]
COMMON = list(itertools.accumulate(1 / (rank + 1) for rank in range(len(VOCABULARY))))  # Zipf


def fill(store: Store, count: int, seed: int) -> None:
    """Append chunks of random words, as often as words of a language are."""
    random = Random(seed)
    plain = dict.fromkeys(chunks.chunks_schema(DIMENSION).names[:-1], "")
    plain |= {"ordinal": 0, "start": 0, "end": 1, "tokens": 1}

    def slices() -> Iterator[tuple[pl.DataFrame, np.ndarray]]:
        for at in range(0, count, 2_000):
            rows = [
                plain | {"id": digest(f"{seed} {number}"), "text": sentence(random, WORDS)}
                for number in range(at, min(at + 2_000, count))
            ]
            yield pl.DataFrame(rows).select(plain.keys()), np.ones((len(rows), DIMENSION), dtype=np.float32)

    chunks.append(store, TABLE, DIMENSION, slices())


def sentence(random: Random, words: int) -> str:
    return " ".join(random.choices(VOCABULARY, cum_weights=COMMON, k=words))


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def asked(store: Store) -> float:
    """Milliseconds a query of eight words for its best hundred chunks, the files of the index read before."""
    random, table = Random(1), ChunkTable(store, TABLE)
    queries = [sentence(random, 8) for _ in range(QUERIES)]
    for _ in range(2):
        taken = timed(lambda: [matching(table, query, 100, ["id"]) for query in queries])
    return 1_000 * taken / QUERIES


def size(store: Store) -> float:
    """MB of the files of the index."""
    folder = Path(store.path(TABLE)) / "_indices"
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


def measured(folder: Path, count: int, tokenizer: str) -> str:
    """One row of the table."""
    store = Store(folder / "store")
    fill(store, count, 0)
    built = timed(lambda: build_text(store, TABLE, tokenizer))
    megabytes, quick = size(store), asked(store)
    fill(store, count // 100, 1)
    night = timed(lambda: extend_text(store, TABLE, tokenizer))
    return (
        f"| {count:,} | {tokenizer} | {built:.1f} s | {megabytes:.1f} MB | {night:.2f} s | "
        f"{size(store) - megabytes:.1f} MB | {quick:.1f} ms | {asked(store):.1f} ms |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, nargs="+", default=[20_000, 200_000])
    parser.add_argument("--tokenizers", nargs="+", default=["icu/split", "simple"])
    given = parser.parse_args()
    print("| chunks | tokenizer | build | size | night of 1 % | it adds | a query | after it |")
    print("|---|---|---|---|---|---|---|---|")
    for count, tokenizer in itertools.product(given.chunks, given.tokenizers):
        folder = Path(tempfile.mkdtemp())
        try:
            print(measured(folder, count, tokenizer), flush=True)
        finally:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
