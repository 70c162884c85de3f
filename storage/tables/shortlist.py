"""Joins of many slices with one large frame, each of which costs what the slice has and not what the frame has."""

from __future__ import annotations

import numpy as np
import polars as pl

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
        hashes = frame[by].hash()
        order = hashes.arg_sort()
        self._frame = frame
        self._order = order.to_numpy()
        self._hashes = hashes.gather(order).to_numpy()

    def of(self, values: pl.Series) -> pl.DataFrame:
        """The rows that have one of some values, in the frame's order.

        Two values may share a hash, so others can be among them: only the join that follows compares values.
        """
        asked = np.unique(values.hash().to_numpy())
        first = np.searchsorted(self._hashes, asked)
        many = np.searchsorted(self._hashes, asked, side="right") - first
        # Of each value its run of places: where it begins, and how far into all of them it is.
        at = np.repeat(first - np.cumsum(many) + many, many) + np.arange(many.sum())
        return self._frame[np.sort(self._order[at])]
