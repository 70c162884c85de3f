"""Looks hashes up among others by the million: sorted bytes, where a join would build a hash table for every slice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

__all__ = ["Bytes", "Places", "as_bytes", "find_sorted"]

HASH = 32  # characters of a hash

Bytes = npt.NDArray[np.bytes_]


@dataclass(frozen=True)
class Places:
    """Where vectors lie.

    Attributes:
        hashes: Of their contents, sorted.
        tables: Number of the table of each.
        offsets: Row of each in its table.
    """

    hashes: Bytes
    tables: npt.NDArray[np.int16]
    offsets: npt.NDArray[np.int64]

    @classmethod
    def none(cls) -> Self:
        """No places."""
        return cls(np.empty(0, f"S{HASH}"), np.empty(0, np.int16), np.empty(0, np.int64))

    def hold(self, hashes: Bytes) -> npt.NDArray[np.bool_]:
        """Whether each of some hashes has a place."""
        return find_sorted(self.hashes, hashes)[1]

    def and_of(self, hashes: Bytes, tables: npt.NDArray[np.int16], offsets: npt.NDArray[np.int64]) -> Self:
        """These and others, which have none yet."""
        both = np.concatenate([self.hashes, hashes])
        order = np.argsort(both)
        both_tables, both_offsets = np.concatenate([self.tables, tables]), np.concatenate([self.offsets, offsets])
        return type(self)(both[order], both_tables[order], both_offsets[order])


def as_bytes(hashes: Any) -> Bytes:
    """Hashes of a series or an Arrow array as fixed bytes, which sort and compare without Python and hold no batch."""
    column = hashes.to_arrow() if isinstance(hashes, pl.Series) else hashes
    if not len(column):
        return np.empty(0, f"S{HASH}")
    try:
        # A million of them are 32 MB so, and several hundred as strings with a hash table for each join.
        fixed = column.cast(pa.binary(HASH))
    except pa.ArrowInvalid:  # no hashes of ours
        return np.array(column.to_pylist(), dtype=np.bytes_)
    content: Any = fixed.buffers()[1]
    return np.frombuffer(content, f"S{HASH}", len(fixed), fixed.offset * HASH)


def find_sorted(among: Bytes, hashes: Bytes) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """Where hashes stand in a sorted array, and whether they do."""
    if not len(among):
        return np.zeros(len(hashes), np.intp), np.zeros(len(hashes), np.bool_)
    spot = np.minimum(np.searchsorted(among, hashes), len(among) - 1)
    return spot, among[spot] == hashes
