"""What one inserted sentence costs: new chunks of our cutting, beside windows of a fixed number of words.

Usage: bench_chunking.py [INSERTIONS]   (default 1000 a kind of document)
"""

from __future__ import annotations

import argparse
import inspect
import itertools
import re
import sys
from importlib import import_module
from importlib.metadata import distributions
from pathlib import Path
from random import Random

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from workload import table

from models.config import EncoderConfig
from models.encoder import resolve
from tasks.build.chunking.cut import ChunkerConfig, chunk_texts
from tasks.ingest.normalise import normalise

MODULES = (
    "argparse",
    "asyncio.base_events",
    "decimal",
    "doctest",
    "pdb",
    "subprocess",
    "tarfile",
    "threading",
    "typing",
)
WINDOW = 254  # tokens that all-MiniLM-L6-v2 sees, less two special ones
WORDS = 200  # a window of the baseline
PROSE = re.compile(r"[A-Z][a-z,' ()-]{30,160}\.")  # a line that is one sentence
LONG = 20_000  # characters of a document of at least 40 chunks, or nearly


def corpora() -> dict[str, list[str]]:
    """Long documents that every installation has: sources of the standard library, READMEs of distributions."""
    sources = [inspect.getsource(import_module(name)) for name in MODULES]
    readmes = [str(each.metadata.json.get("description") or "") for each in distributions()]
    found = {"source code": sources, "Markdown": sorted(set(readmes))}
    return {name: [text for text in map(normalise, texts) if len(text) > LONG] for name, texts in found.items()}


def insertion(text: str, sentence: str, random: Random, paragraph: bool) -> str:
    """Put a sentence behind another one, or as a paragraph of its own between two."""
    if paragraph:
        at = random.choice([match.end() for match in re.finditer(r"\n\n", text)])
        return f"{text[:at]}{sentence}\n\n{text[at:]}"
    at = random.choice([match.end() for match in re.finditer(r"[a-z][.!?](?=\s)", text)])
    return f"{text[:at]} {sentence}{text[at:]}"


def windows(text: str) -> set[str]:
    """The baseline: windows of a fixed number of words."""
    words = text.split()
    return {" ".join(words[at : at + WORDS]) for at in range(0, len(words), WORDS)}


def main() -> None:
    """Insert, cut again and count what is new."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("insertions", nargs="?", type=int, default=1_000)
    count = parser.parse_args().insertions
    tokenizer = resolve(EncoderConfig()).tokenizer()

    def cut(texts: list[str]) -> list[set[str]]:
        cuts = chunk_texts(texts, tokenizer, ChunkerConfig(), WINDOW)
        return [{chunk.text for chunk in chunks} for chunks in cuts]

    rows = []
    for (name, texts), paragraph in itertools.product(corpora().items(), (False, True)):
        random = Random(7)
        before, fixed = cut(texts), [windows(text) for text in texts]
        sentences = [line.strip() for text in texts for line in text.split("\n") if PROSE.fullmatch(line.strip())]
        chosen = [random.randrange(len(texts)) for _ in range(count)]
        edited = [insertion(texts[at], random.choice(sentences), random, paragraph) for at in chosen]
        new = np.array([len(after - before[at]) for at, after in zip(chosen, cut(edited), strict=True)])
        moved = np.array([len(windows(text) - fixed[at]) for at, text in zip(chosen, edited, strict=True)])
        size = np.mean([len(chunks) for chunks in before])
        share = f"{np.mean(new <= 2):.1%}"
        what = "paragraph" if paragraph else "sentence"
        rows.append(
            (name, what, len(texts), f"{size:.0f}", f"{new.mean():.2f}", share, new.max(), f"{moved.mean():.1f}")
        )
    header = ("documents", "inserted", "number", "chunks each", "new chunks", "at most 2", "worst", "new fixed windows")
    print(table(header, rows))


if __name__ == "__main__":
    main()
