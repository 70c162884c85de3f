"""The vector index of a chunk table: built, extended, measured and asked; and tables kept compact."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from storage.tables.chunks import ChunkTable
from storage.tables.roles import IndexFacts, Kind, Precision
from storage.tables.store import Store

__all__ = [
    "BYTES",
    "KINDS",
    "IndexStatistics",
    "Kind",
    "build",
    "compact",
    "extend",
    "has_index",
    "nearest",
    "partitions",
    "statistics",
]

NAME = "vector_idx"
# Whole vectors in cells; a byte a coordinate; a bit a coordinate, rotated (RaBitQ).
KINDS: dict[Kind, str] = {"flat": "IVF_FLAT", "int8": "IVF_SQ", "binary": "IVF_RQ"}
OPTIONS: dict[Kind, dict[str, Any]] = {"flat": {}, "int8": {}, "binary": {"num_bits": 1}}
BYTES: dict[Precision, int] = {"float32": 4, "float16": 2}  # of a coordinate
ATTEMPTS = 5
SMALL = 32_768  # rows of a file below which it is merged with its neighbours; as written at once files have more


@dataclass(frozen=True)
class IndexStatistics:
    """What an index holds.

    Attributes:
        partitions: Its cells.
        indexed: Rows in it.
        unindexed: Rows of the table that are not.
        kind: One of KINDS, as Lance calls it.
        bytes: Of its files.
        parts: Rows of each of its parts, the oldest first: a night's rows are a part until they are merged.
        entries: What all parts hold, rows that are gone by now among it.
    """

    partitions: int
    indexed: int
    unindexed: int
    kind: str
    bytes: int
    parts: tuple[int, ...]
    entries: int

    @property
    def dead(self) -> float:
        """Share of its entries whose rows are gone: a search meets them, and finds less."""
        return 1 - min(self.indexed, self.entries) / self.entries if self.entries else 0.0

    @property
    def coverage(self) -> float:
        """Share of the rows that the index holds."""
        total = self.indexed + self.unindexed
        return self.indexed / total if total else 1.0


def statistics(chunks: ChunkTable) -> IndexStatistics | None:
    """What the index of a chunk table holds; None where there is none."""
    if not has_index(chunks, NAME):
        return None
    stats: dict[str, Any] = chunks.dataset.stats.index_stats(NAME)
    cells = int(stats["indices"][0]["num_partitions"])
    entries = sum(int(cell["size"]) for part in stats["indices"] for cell in part["partitions"])
    parts = tuple(int(rows) for rows in stats["num_indexed_rows_per_delta"])
    own = (found for found in chunks.dataset.describe_indices() if found.name == NAME)
    size = sum(segment.size_bytes or 0 for found in own for segment in found.segments)
    rows = int(stats["num_indexed_rows"]), int(stats["num_unindexed_rows"])
    return IndexStatistics(cells, *rows, str(stats["index_type"]), size, parts, entries)


def has_index(chunks: ChunkTable, name: str) -> bool:
    """Tell whether a chunk table has an index of a name."""
    return any(found.name == name for found in chunks.dataset.describe_indices())


def partitions(rows: int) -> int:
    """Cells of the index: half the root of the rows, so that 80 probes look into half of them at 100,000."""
    return max(1, round(sqrt(rows) / 2))


def build(store: Store, table: str, centres: npt.NDArray[np.float32], kind: Kind = "binary") -> None:
    """Make an index of the head of a chunk table, in place of the one that it may have.

    Args:
        store: The store.
        table: Name of the table.
        centres: Of its cells, shape (cells, dimension), found among vectors of unit length.
        kind: How it keeps vectors.
    """
    store.open(table).create_index(
        "vector",
        KINDS[kind],
        name=NAME,
        metric="cosine",
        num_partitions=len(centres),
        ivf_centroids=centres,
        replace=True,
        **OPTIONS[kind],
    )


def extend(store: Store, table: str, *, merge: int = 0) -> None:
    """Take the rows of the head into its index that are not in it yet.

    Args:
        store: The store.
        table: Name of the table.
        merge: Newest parts of the index that become one with them; 0 writes a part of their own, at the cost of them
            alone.
    """
    # Never Table.optimize(): it raises once a tagged version is a week old, and skips this step.
    store.open(table).optimize.optimize_indices(num_indices_to_merge=merge, index_names=[NAME])


def compact(store: Store, table: str, *, fragments: int, dead: float) -> None:
    """Merge the small files of a table once there are many, and drop dead rows once they are many.

    Files that are large stay, unless many of their rows are dead: what it costs follows what was written since, not
    what the table holds.

    Args:
        store: The store.
        table: Name of the table.
        fragments: Small files up to which a table is left as it is.
        dead: Share of deleted rows up to which it is.
    """
    for attempt in range(ATTEMPTS):
        head = store.open(table)
        files = head.get_fragments()
        deleted = sum(fragment.num_deletions for fragment in files)
        small = sum(fragment.count_rows() < SMALL for fragment in files)
        if small <= fragments and deleted <= dead * (head.count_rows() + deleted):
            return
        try:
            head.optimize.compact_files(target_rows_per_fragment=SMALL)
            return
        except OSError as error:
            if "conflict" not in str(error).lower() or attempt == ATTEMPTS - 1:
                raise
            time.sleep(0.1 * 2**attempt)


def nearest(
    chunks: ChunkTable,
    query: np.ndarray,
    k: int,
    columns: Sequence[str],
    index: IndexFacts | None,
    source: str | None = None,
) -> pa.Table:
    """The k rows of highest cosine similarity to a query, best first.

    By pylance: a night, which measures recall with it, does not pay a second for the import of LanceDB.

    Args:
        chunks: A chunk table at one version.
        query: float32 of shape (dimension,).
        k: How many rows.
        columns: Columns to return; `_distance` (1 - cosine) is added.
        index: How the index is searched; None to compare with every row.
        source: Search its rows alone, as a reader who asks for one source does.
    """
    # As Arrow's: of numpy's, Lance makes one by way of numpy's masked arrays, which take time to import.
    numbers = np.asarray(query, np.float32).tobytes()
    vector = pa.Array.from_buffers(pa.float32(), len(query), [None, pa.py_buffer(numbers)])
    wanted: dict[str, Any] = {"column": "vector", "q": vector, "k": k, "metric": "cosine"}
    if index is None:
        wanted["use_index"] = False
    else:  # codes of few bits rank too coarsely by themselves: always compare the best again with full vectors
        wanted |= {"nprobes": index.nprobes, "refine_factor": index.refine_factor}
    few: dict[str, Any] = {} if source is None else {"filter": pc.field("source") == source, "prefilter": True}
    scanner = chunks.dataset.scanner(
        columns=[*columns, "_distance"], nearest=wanted, disable_scoring_autoprojection=True, **few
    )
    return scanner.to_table()
