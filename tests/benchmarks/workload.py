"""Corpora of a chosen size for the benchmarks, and the changes of a night; and a stopwatch for whole processes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import median

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, str(ROOT / "flows" / "entry" / "tidemark.py"))  # this checkout's, wherever it is run
WORDS_A_CHUNK = 140  # what the chunker cuts on average between its bounds
CHUNKS_A_DOCUMENT = 6


def _vocabulary() -> list[str]:
    random = Random(7)
    syllables = [c + v for c in "bdfgklmnprstvz" for v in ("a", "e", "i", "o", "u", "an", "er", "in")]
    return ["".join(random.choices(syllables, k=random.randint(1, 4))) for _ in range(6_000)]


class Corpus:
    """A folder of Markdown files with prose of random words on 300 subjects, the same for the same size.

    Args:
        folder: Where the files go.
        chunks: About how many chunks they give.
    """

    def __init__(self, folder: Path, chunks: int) -> None:
        self.folder = folder
        self.random = np.random.default_rng(11)
        self.words = np.array(_vocabulary())
        # Real documents have subjects; without them all vectors lie equally far apart, and no index can search them.
        self.topics = [self.random.choice(len(self.words), 120, replace=False) for _ in range(300)]
        self.files: list[Path] = []
        for number in range(max(1, chunks // CHUNKS_A_DOCUMENT)):
            path = folder / f"{number // 1000:04d}" / f"{number:07d}.md"
            if number % 1000 == 0:
                path.parent.mkdir(parents=True)
            path.write_text(self.text(number))
            self.files.append(path)

    def text(self, number: int) -> str:
        """A document of about six chunks: sentences of 14 words, paragraphs of five sentences."""
        count = WORDS_A_CHUNK * CHUNKS_A_DOCUMENT
        topic = self.topics[number % len(self.topics)]
        common = self.random.integers(0, len(self.words), count)
        chosen = np.where(self.random.random(count) < 0.6, topic[self.random.integers(0, len(topic), count)], common)
        words = self.words[chosen]
        lines = [" ".join(words[at : at + 14]).capitalize() + "." for at in range(0, count, 14)]
        paragraphs = [" ".join(lines[at : at + 5]) for at in range(0, len(lines), 5)]
        return f"# Document {number}\n\n" + "\n\n".join(paragraphs) + "\n"

    def some(self, share: float) -> list[Path]:
        """A random share of the files."""
        chosen = self.random.choice(len(self.files), max(1, int(len(self.files) * share)), replace=False)
        return [self.files[at] for at in sorted(chosen)]

    def edit(self, share: float) -> None:
        """Put one sentence into a share of the documents."""
        for path in self.some(share):
            text = path.read_text()
            middle = text.index("\n\n", len(text) // 2)
            path.write_text(f"{text[:middle]}\n\nA sentence that was not there before, {path.stem}.{text[middle:]}")

    def rename(self, share: float) -> None:
        """Rename a share of the files."""
        for path in self.some(share):
            path.rename(path.with_name(f"renamed-{path.name}"))
        self.files = sorted(self.folder.rglob("*.md"))

    def delete(self, share: float) -> None:
        """Delete a share of the files."""
        for path in self.some(share):
            path.unlink()
        self.files = sorted(self.folder.rglob("*.md"))


@dataclass(frozen=True)
class Timing:
    """What one process cost: wall and CPU seconds, peak memory in MiB, and its standard output."""

    wall: float
    cpu: float
    peak: float
    output: str


def run(command: Sequence[str], folder: Path, checkout: Path | None = None) -> Timing:
    """Run a command to its end and account for it as the operating system does.

    Args:
        command: Program and arguments.
        folder: Where it runs.
        checkout: Where it takes our packages from; from where they are installed if None.

    Raises:
        RuntimeError: It failed; the text ends with what it said.
    """
    began = time.perf_counter()
    log = folder / "stderr.txt"
    with log.open("w") as errors:
        process = subprocess.Popen(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=errors, text=True, env=_environment(checkout)
        )
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    if status:
        raise RuntimeError(
            f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}: {log.read_text()[-2000:]}"
        )
    scale = 1 if sys.platform == "darwin" else 1024
    return Timing(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * scale / 2**20, output)


def _environment(checkout: Path | None) -> dict[str, str]:
    """No dashboard, no network, and bytecode is kept: a command that is run twice is compiled once."""
    dropped = {"PREFECT_API_URL", "PYTHONDONTWRITEBYTECODE"}
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    return kept | {"HF_HUB_OFFLINE": "1"} | ({} if checkout is None else {"PYTHONPATH": str(checkout)})


def configure(folder: Path, encoder: str = "stub", docs: str = "docs", more: str = "") -> None:
    """Write a configuration that indexes a folder, `docs` beside it unless told otherwise, with more sections."""
    (folder / "tidemark.toml").write_text(
        f'[encoder]\nname = "{encoder}"\n[[sources]]\nname = "docs"\nkind = "folder"\npath = "{docs}"\n{more}'
    )


def spread(values: Sequence[float], digits: int) -> tuple[str, str]:
    """The median, and from what to what values lie, for two columns of a table."""
    return f"{median(values):.{digits}f}", f"{min(values):.{digits}f} to {max(values):.{digits}f}"


def tidemark(folder: Path, *arguments: str) -> tuple[Timing, dict[str, object]]:
    """Run a `tidemark` command of this checkout with `--json`; returns what it cost and what it printed."""
    timing = run([*COMMAND, *arguments, "--json"], folder)
    return timing, json.loads(timing.output)


def fresh(folder: Path) -> Path:
    """An empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Format rows in columns."""
    cells = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[at]) for row in cells) for at in range(len(header))]
    lines = [
        "  ".join(
            cell.rjust(width) if at else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])
