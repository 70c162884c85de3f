"""Encoding against `SentenceTransformer.encode`: same texts, same vectors, alternating rounds, ratio and spread."""

from __future__ import annotations

import argparse
import ast
import logging
import os
import statistics
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
sys.path.insert(0, str(Path(__file__).parents[2]))

from models.config import EncoderConfig
from models.encoder import resolve

PACKAGES = ("numpy", "polars", "torch", "pydantic", "prefect", "rich")
REQUIRED = 1.3
ROUTES = {
    "tidemark": "from models.encoder import resolve; resolve(Path(sys.argv[1])).open()",
    "transformers": "from transformers import AutoModel; AutoModel.from_pretrained(sys.argv[1])",
    "sentence-transformers": "from sentence_transformers import SentenceTransformer; SentenceTransformer(sys.argv[1])",
}


def main() -> None:
    """Print what starting and encoding cost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=220)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="more than one makes a busy machine's figures worthless")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    folder = resolve(EncoderConfig()).folder
    start(folder)
    compare(folder, docstrings(arguments.texts), arguments.rounds, arguments.threads)
    stub(docstrings(arguments.texts))


def docstrings(count: int) -> list[str]:
    """Take docstrings of installed packages, evenly spread over their files."""
    root = Path(sysconfig.get_paths()["purelib"])
    found: dict[str, None] = {}
    for package in PACKAGES:
        for file in sorted((root / package).glob("*.py")):
            found.update(dict.fromkeys(documented(ast.parse(file.read_text(encoding="utf-8")))))
    every = list(found)
    return [every[int(index)] for index in np.linspace(0, len(every) - 1, count)]


def documented(tree: ast.Module) -> list[str]:
    """List the docstrings of a file."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    texts = [ast.get_docstring(node) for node in ast.walk(tree) if isinstance(node, kinds)]
    return [text for text in texts if text and len(text) > 20]


def start(folder: Path) -> None:
    """Time import and load of each route, each in a process of its own, the second of two runs."""
    print("\nfrom nothing to a loaded encoder (seconds, files cached)")
    for name, code in ROUTES.items():
        seconds = [timed(lambda code=code: run(code, folder)) for _ in range(2)]
        print(f"  {name:24}{seconds[1]:6.1f}")
    print(
        f"  {'identity alone, in here':24}{min(timed(lambda: resolve(folder).space) for _ in range(3)):6.2f}",
        flush=True,
    )


def run(code: str, folder: Path) -> None:
    """Run code in a new interpreter."""
    command = [sys.executable, "-c", f"import sys; from pathlib import Path; {code}", str(folder)]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[2], stderr=subprocess.DEVNULL)


def compare(folder: Path, texts: list[str], rounds: int, threads: int) -> None:
    """Time both in turn, so that a busy machine hits both alike."""
    from sentence_transformers import SentenceTransformer

    ours = resolve(EncoderConfig(device="cpu", threads=threads)).open()
    theirs = SentenceTransformer(str(folder), device="cpu")
    tokens = sum(resolve(EncoderConfig()).tokenizer().count(texts)) + 2 * len(texts)
    sides: dict[str, Callable[[], Any]] = {
        "tidemark": lambda: ours.encode_documents(texts),
        "sentence-transformers": lambda: theirs.encode(texts, show_progress_bar=False),
    }
    difference = float(np.abs(sides["tidemark"]() - sides["sentence-transformers"]()).max())
    wall: dict[str, list[float]] = {name: [] for name in sides}
    cpu: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in list(sides)[:: 1 if number % 2 else -1]:
            begun = time.process_time()
            wall[name].append(timed(sides[name]))
            cpu[name].append(time.process_time() - begun)
    print(
        f"\n{len(texts)} docstrings, {tokens} tokens, {rounds} rounds, {threads} threads, all-MiniLM-L6-v2 on the CPU"
    )
    for clock, seconds in (("wall", wall), ("CPU", cpu)):
        for name, values in seconds.items():
            low, middle, high = min(values), statistics.median(values), max(values)
            rate = f"{tokens / middle:8.0f} tokens/s"
            print(f"  {name:24}{rate}   {clock} seconds {middle:6.2f} ({low:.2f} to {high:.2f})")
        pairs = zip(seconds["tidemark"], seconds["sentence-transformers"], strict=True)
        ratios = [theirs / ours for ours, theirs in pairs]
        spread = f"({min(ratios):.2f} to {max(ratios):.2f})"
        print(f"  ratio by {clock} time {statistics.median(ratios):.2f} {spread}, required {REQUIRED}")
    print(f"  largest difference of a coordinate {difference:.1e}", flush=True)


def stub(texts: list[str]) -> None:
    """Time the fake encoder."""
    fake = resolve(EncoderConfig(name="stub")).open()
    print("\nthe stub encoder")
    for name, cut in (("short chunks", 80), ("long chunks", 800)):
        many = [(text * (cut // len(text) + 1))[:cut] for text in texts] * (8_000_000 // cut // len(texts))
        rate = len(many) / min(timed(lambda many=many: fake.encode_documents(many)) for _ in range(3))
        print(f"  {name} of {cut} characters {rate:10.0f} a second")


def timed(work: Callable[[], object]) -> float:
    """Give the seconds that a call takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
