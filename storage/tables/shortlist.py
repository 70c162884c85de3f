"""Joins of many slices with one large frame, each of which costs what the slice has and not what the frame has."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from storage.tables.lookup import find_runs

__all__ = ["Shortlist"]


class Shortlist:
    """Finds in a frame the rows that a slice may match: what is left is joined with them in place of the whole.

    A join builds a hash table of its right side. For each of the thousand slices of a million documents that would be
    one of a million rows, so that twice the documents would cost four times as much.

    Args:
        frame: The right side of the joins.
        by: The column by which they match.
    """

    def __init__(self, frame: pl.DataFrame, by: str) -> None:
        self._frame = frame
        self._by = by

    @cached_property
    def _sorted(self) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint64]]:
        """Places in the frame in the order of hashes, and the hashes; most nights have no slice that asks for them."""
        hashes = self._frame[self._by].hash()
        order = hashes.arg_sort()
        return order.to_numpy(), hashes.gather(order).to_numpy()

    def of(self, values: pl.Series) -> pl.DataFrame:
        """The rows that have one of some values, in the frame's order.

        Two values may share a hash, so others can be among them: only the join that follows compares values.
        """
        order, hashes = self._sorted
        return self._frame[np.sort(order[find_runs(hashes, np.unique(values.hash().to_numpy()))])]
