"""A source that does not read on while a file is there: a run stays in its middle for as long as a test wants."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from storage.sources.base import DOCUMENTS, LISTING, SourceConfig

__all__ = ["Waiting"]

BLOCK = "block"


class Waiting:
    """`waiting:Waiting`: the lines of the file at `path` are its documents; beside it, `block` makes it wait."""

    def __init__(self, config: SourceConfig, base_dir: Path) -> None:
        self.name = config.name
        self._file = base_dir / str((config.model_extra or {})["path"])

    def list(self) -> Iterator[pl.DataFrame]:
        """One slice, a document a line."""
        lines = self._file.read_text().splitlines()
        rows = [{"id": f"d{at}", "revision": line, "bytes": None, "problem": None} for at, line in enumerate(lines)]
        yield pl.DataFrame(rows, schema=LISTING)

    def read(self, ids: pl.Series) -> Iterator[pl.DataFrame]:
        """The documents, once nothing blocks."""
        while (self._file.parent / BLOCK).exists():
            time.sleep(0.1)
        plain = {"title": None, "metadata": "{}", "licence": None, "timestamp": None, "queries": [], "blob": None}
        lines = dict(enumerate(self._file.read_text().splitlines()))
        rows = [
            plain | {"id": f"d{at}", "revision": line, "problem": None, "text": line}
            for at, line in lines.items()
            if f"d{at}" in set(ids)
        ]
        yield pl.DataFrame([{name: row.get(name) for name in DOCUMENTS} for row in rows], schema=DOCUMENTS)
