"""Looks hashes up among others by the million: sorted bytes, where a join would build a hash table for every slice."""

from __future__ import annotations

from binascii import Error, unhexlify
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

__all__ = ["Bytes", "Places", "Waiting", "as_bytes", "distinct", "find_runs", "find_sorted", "names"]

HASH = 32  # characters of a hash, two a byte

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
        return cls(np.empty(0, f"S{HASH // 2}"), np.empty(0, np.int16), np.empty(0, np.int64))

    def hold(self, hashes: Bytes) -> npt.NDArray[np.bool_]:
        """Whether each of some hashes has a place."""
        return find_sorted(self.hashes, hashes)[1]

    def and_of(self, hashes: Bytes, tables: npt.NDArray[np.int16], offsets: npt.NDArray[np.int64]) -> Self:
        """These and others, which are sorted and have none yet."""
        if not len(self.hashes):  # as of a first build, where all come at once
            return type(self)(hashes, tables, offsets)
        # Merged and not sorted anew: a million of them are held once more, and not three times.
        at = np.searchsorted(self.hashes, hashes)
        wide = self.hashes.astype(np.promote_types(self.hashes.dtype, hashes.dtype), copy=False)
        return type(self)(
            np.insert(wide, at, hashes), np.insert(self.tables, at, tables), np.insert(self.offsets, at, offsets)
        )


class Waiting:
    """Hashes of which each is worked on once, wherever its content stands.

    Args:
        hashes: Sorted, each once.
    """

    def __init__(self, hashes: Bytes) -> None:
        self._hashes = hashes
        self._waits = np.ones(len(hashes), dtype=np.bool_)

    def take(self, hashes: pl.Series) -> pl.Series:
        """Whether each of some hashes, no two of them equal, waits; from now on none of them does."""
        spot, taken = find_sorted(self._hashes, as_bytes(hashes))
        taken[taken] = self._waits[spot[taken]]
        self._waits[spot[taken]] = False
        return pl.Series(taken, dtype=pl.Boolean)


def as_bytes(hashes: Any) -> Bytes:
    """Hashes of a series or an Arrow array as fixed bytes, which sort and compare without Python and hold no batch.

    Numpy takes zeros at the end of fixed bytes for none, and adds them again: no two hashes become one by that.
    """
    column = hashes.to_arrow() if isinstance(hashes, pl.Series) else hashes
    if not len(column):
        return np.empty(0, f"S{HASH // 2}")
    try:
        # A million of them are 16 MB so, and several hundred as strings with a hash table for each join.
        fixed = column.cast(pa.binary(HASH))
        content: Any = fixed.buffers()[1]
        words = memoryview(content)[fixed.offset * HASH : (fixed.offset + len(fixed)) * HASH]
        return np.frombuffer(unhexlify(words), f"S{HASH // 2}")
    except (pa.ArrowInvalid, Error):  # no hashes of ours
        return np.array(column.to_pylist(), dtype=np.bytes_)


def names(hashes: Bytes) -> list[str]:
    """Hashes as they are written; `as_bytes` takes them back."""
    size = hashes.dtype.itemsize
    written = hashes.tobytes().hex()
    return [written[at : at + 2 * size] for at in range(0, len(written), 2 * size)]


def distinct(parts: Iterable[pl.Series]) -> Bytes:
    """The hashes of many slices, sorted, each once."""
    found = [np.unique(as_bytes(part)) for part in parts]
    if not found:
        return Places.none().hashes
    every = np.concatenate(found)
    found.clear()  # by `np.unique` they would be held four times
    every.sort()
    first = np.ones(len(every), np.bool_)
    np.not_equal(every[1:], every[:-1], out=first[1:])
    return every if first.all() else every[first]


def find_runs(among: npt.NDArray[Any], values: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    """All places of some values, no two of them equal, in a sorted array that may hold each many times."""
    first = np.searchsorted(among, values)
    many = np.searchsorted(among, values, side="right") - first
    # Of each value its run of places: where it begins, and how far into all of them it is.
    return np.repeat(first - np.cumsum(many) + many, many) + np.arange(many.sum())


def find_sorted(among: Bytes, hashes: Bytes) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """Where hashes stand in a sorted array, and whether they do."""
    if not len(among):
        return np.zeros(len(hashes), np.intp), np.zeros(len(hashes), np.bool_)
    spot = np.minimum(np.searchsorted(among, hashes), len(among) - 1)
    return spot, among[spot] == hashes
