"""What nights leave behind for those after them: sums of vectors, a few vectors, and the words that were seen."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from storage.hashing import digest
from storage.tables.columns import TIME, key_field, strings
from storage.tables.releases import Releases
from storage.tables.store import Store, pick, read

__all__ = ["CELLS", "NIGHTS", "VOCABULARY", "NightSums", "Nights"]

# One row a run, source and space. For a linear kernel number, sum and squares of the vectors are enough, so no old
# vector is ever read; `kept` holds a few of them (float16) for a classifier, with the documents that they are of.
NIGHTS = pa.schema(
    [
        key_field("key", pa.string()),
        *strings("run", "source", "space"),
        pa.field("created", TIME),
        pa.field("documents", pa.int32()),
        pa.field("vectors", pa.int32()),
        pa.field("pairs", pa.float64()),  # sum over documents of the squared number of vectors
        pa.field("squares", pa.float64()),  # sum over documents of the squared length of the sum of their vectors
        pa.field("total", pa.binary()),  # sum of the vectors, float64
        pa.field("cells", pa.list_(pa.int32())),
        pa.field("kept", pa.binary()),
        pa.field("names", pa.list_(pa.string())),
    ]
)
# Centres of k-means over the first night of a space (float32).
CELLS = pa.schema(
    [
        key_field("space", pa.string()),
        pa.field("created", TIME),
        pa.field("cells", pa.int32()),
        pa.field("centres", pa.binary()),
    ]
)
# The words that a source had never had before a night, as 32-bit hashes: a night costs what is new in it.
VOCABULARY = pa.schema([key_field("key", pa.string()), *strings("run", "source"), pa.field("hashes", pa.binary())])

_NIGHTS, _CELLS, _VOCABULARY = "nights", "cells", "vocabulary"
_SAID = ("run", "source", "space", "created", "documents", "vectors", "pairs", "squares")


@dataclass(frozen=True)
class NightSums:
    """The vectors of one source and night, summed up; documents are what is independent, so they are what is counted.

    Attributes:
        run: The run whose night it was.
        source: The source.
        space: Id of the space.
        created: When.
        documents: How many documents the vectors are of.
        vectors: How many there are.
        pairs: Sum over documents of the squared number of their vectors.
        squares: Sum over documents of the squared length of the sum of their vectors.
        total: Sum of all vectors, float64 of shape (dimension,).
        cells: Vectors a cell; empty where there are no cells.
        kept: Some of the vectors, of shape (kept, dimension).
        names: The document of each.
    """

    run: str
    source: str
    space: str
    created: datetime
    documents: int
    vectors: int
    pairs: float
    squares: float
    total: npt.NDArray[np.float64]
    cells: tuple[int, ...]
    kept: npt.NDArray[np.float32]
    names: tuple[str, ...]

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> NightSums:
        """Decode a row."""
        total = np.frombuffer(row["total"], dtype=np.float64)
        kept = np.frombuffer(row["kept"], dtype=np.float16).astype(np.float32).reshape(-1, len(total))
        said = {name: row[name] for name in _SAID}
        return cls(**said, total=total, cells=tuple(row["cells"]), kept=kept, names=tuple(row["names"]))

    def to_row(self) -> dict[str, Any]:
        """As a row of the table."""
        return {
            **{name: getattr(self, name) for name in _SAID},
            "key": digest(f"{self.run}\x1f{self.source}\x1f{self.space}"),
            "total": self.total.tobytes(),
            "cells": list(self.cells),
            "kept": self.kept.astype(np.float16).tobytes(),
            "names": list(self.names),
        }


class Nights:
    """The tables that a night reads of the nights before it; what is older than it asks for is forgotten."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def last(self, space: str, nights: int) -> list[NightSums]:
        """The sums of the last nights of a space that ended in a release, oldest first.

        What a night measured that published nothing comes again in the next one, and must not count twice.

        Args:
            space: Id of the space.
            nights: Of how many runs.
        """
        table = self.store.find(_NIGHTS)
        if table is None:
            return []
        seen = read(table, NIGHTS, ["run", "space", "created"]).to_pylist()
        there = {str(row["run"]) for row in seen if row["space"] == space}
        published = Releases(self.store).made_by(there)
        runs = sorted({(row["created"], row["run"]) for row in seen if row["run"] in published})[-nights:]
        rows = pick(table, NIGHTS, "run", [run for _, run in runs]).to_pylist()
        return sorted((NightSums.of(row) for row in rows if row["space"] == space), key=lambda sums: sums.created)

    def add(self, sums: Iterable[NightSums], keep: int) -> None:
        """Write what a night measured, and forget all but the newest nights.

        Args:
            sums: One a source.
            keep: Nights that stay.
        """
        rows = [each.to_row() for each in sums]
        if not rows:
            return
        self.store.upsert(_NIGHTS, NIGHTS, "key", rows)
        table = self.store.open(_NIGHTS)
        seen = read(table, NIGHTS, ["key", "run", "created"]).to_pylist()
        runs = [run for _, run in sorted({(row["created"], row["run"]) for row in seen})]
        if len(runs) > 2 * keep:  # not every night: each deletion writes a file
            old = set(runs[:-keep])
            self.store.delete_keys(_NIGHTS, "key", [row["key"] for row in seen if row["run"] in old])

    def cells(self, space: str) -> npt.NDArray[np.float32] | None:
        """The centres of the cells of a space, of shape (cells, dimension); None before they were made."""
        table = self.store.find(_CELLS)
        rows = [] if table is None else pick(table, CELLS, "space", [space]).to_pylist()
        return np.frombuffer(rows[0]["centres"], dtype=np.float32).reshape(rows[0]["cells"], -1) if rows else None

    def fix(self, space: str, centres: npt.NDArray[np.float32], now: datetime) -> None:
        """Fix the cells of a space for good, so that nights compare; whoever is first decides.

        Args:
            space: Id of the space.
            centres: Of shape (cells, dimension).
            now: When.
        """
        flat = np.ascontiguousarray(centres, dtype=np.float32)
        row = {"space": space, "created": now, "cells": len(flat), "centres": flat.tobytes()}
        self.store.insert_new(_CELLS, CELLS, "space", row)

    def vocabulary(self, sources: Collection[str]) -> dict[str, npt.NDArray[np.uint32]]:
        """Source to the words that it had so far, sorted; sources without any are left out.

        Args:
            sources: Which.
        """
        table = self.store.find(_VOCABULARY)
        rows = [] if table is None else pick(table, VOCABULARY, "source", sources).to_pylist()
        found: dict[str, list[npt.NDArray[np.uint32]]] = {}
        for row in rows:
            found.setdefault(row["source"], []).append(np.frombuffer(row["hashes"], dtype=np.uint32))
        return {source: np.unique(np.concatenate(parts)) for source, parts in found.items()}

    def learn(self, run: str, words: Mapping[str, npt.NDArray[np.uint32]]) -> None:
        """Add the words that sources had for the first time.

        Args:
            run: The run that saw them.
            words: Source to their hashes.
        """
        rows = [
            {"key": digest(f"{run}\x1f{source}"), "run": run, "source": source, "hashes": hashes.tobytes()}
            for source, hashes in words.items()
            if len(hashes)
        ]
        if rows:
            self.store.upsert(_VOCABULARY, VOCABULARY, "key", rows)
