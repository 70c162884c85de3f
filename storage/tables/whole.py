"""A chunk table of rounded vectors, read with the whole ones, as long as they lie somewhere."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from storage.tables.chunks import ChunkTable
from storage.tables.lookup import distinct
from storage.tables.vectors import EmbeddingCache

__all__ = ["WholeChunks"]


class WholeChunks(ChunkTable):
    """The rows of a chunk table, each with the vector that was rounded for it.

    Args:
        chunks: The table.
        cache: Where whole vectors lie.

    Raises:
        KeyError: Of some row the whole vector is not kept any more.
    """

    def __init__(self, chunks: ChunkTable, cache: EmbeddingCache) -> None:
        self.dataset = chunks.dataset
        self._cache = cache
        wanted = distinct(part["hash"] for part in chunks.columns(["hash"]))
        lost = int((~cache.find(wanted)).sum())
        if lost:
            raise KeyError(f"no kept release holds the whole vectors of {lost} contents")

    def columns(self, names: list[str], *, rows: int = 65_536) -> Iterator[pl.DataFrame]:
        """Read some columns of every chunk in order, slice by slice, the vectors whole."""
        plain = [name for name in names if name != "vector"]
        if plain == names:
            yield from super().columns(names, rows=rows)
            return
        for part in super().columns(list(dict.fromkeys([*plain, "hash"])), rows=rows):
            yield part.with_columns(pl.Series("vector", self._cache.take(part["hash"]))).select(names)
