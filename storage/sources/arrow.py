"""Cells of Arrow columns: weighed before they are taken out, and taken one by one where all at once is not possible."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from storage.errors import words
from storage.sources.base import digest
from storage.sources.bounded import too_large
from storage.sources.cells import Fault

__all__ = ["Weights", "cells", "weights"]

Weights = npt.NDArray[np.int64]
Column = Any  # an array of Arrow, of whose kinds the stubs know too little

_ELEMENT = 8  # bytes that a number counts for, and each element of a list beside what is in it

# What Arrow and polars raise for a value that Python has no place for, or that its column's type forbids.
_UNTAKEN = (
    pa.ArrowException,
    pl.exceptions.PolarsError,
    pl.exceptions.PanicException,
    ValueError,
    TypeError,
    ArithmeticError,
)
# Years 1 to 9999, as counts since 1970.
_LEFT = {"ms": 999, "us": 999_999}  # of the last second, in counts
_FIRST, _LAST = np.datetime64("0001-01-01T00:00:00", "s"), np.datetime64("9999-12-31T23:59:59", "s")


def weights(column: Column) -> Weights:
    """Bytes of each cell once it is unpacked: a value that a dictionary holds once counts in every cell."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        inner = weights(column.dictionary)
        at = pc.fill_null(column.indices, 0).to_numpy(zero_copy_only=False)
        return inner[at] if len(inner) else np.zeros(len(column), np.int64)
    if pa.types.is_map(kind):
        return _summed(column, weights(column.keys) + weights(column.items))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _summed(column, weights(column.values))
    if pa.types.is_fixed_size_list(kind):
        held = weights(column.values).reshape(-1, kind.list_size).sum(axis=1) + _ELEMENT * kind.list_size
        return np.asarray(held[column.offset : column.offset + len(column)], np.int64)
    if pa.types.is_struct(kind):
        return sum(map(weights, column.flatten()), np.zeros(len(column), np.int64))
    if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
        column = column.cast(pa.large_binary())
    if _is_text(column.type) or pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        lengths: Any = pc.binary_length(column)
        return np.asarray(lengths.fill_null(0).to_numpy(zero_copy_only=False), np.int64)
    return np.full(len(column), _ELEMENT, np.int64)


def cells(column: Column, weighed: Weights, bound: int) -> list[Any]:
    """Take the values of a column out; in place of one that cannot be stands a fault.

    Args:
        column: The column.
        weighed: Its weights.
        bound: Bytes of a cell that is not taken out.
    """
    large = np.flatnonzero(weighed > bound)
    if not len(large):
        return _taken(column)
    values = _taken(column.filter(pa.array(weighed <= bound)))
    for row in large.tolist():  # ascending, so that each finds its place
        values.insert(row, Fault(too_large(int(weighed[row]), bound), _content(column[row])))
    return values


def _taken(column: Column) -> list[Any]:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        return _moments(column)
    try:
        return _all(column)
    except _UNTAKEN:
        pass
    if _is_text(column.type):  # invalid UTF-8: as bytes it gets marks of replacement, which the rules refuse
        return _all(column.cast(pa.large_binary()))
    return [_one(column.slice(row, 1)) for row in range(len(column))]


def _all(column: Column) -> list[Any]:
    column.validate(full=True)  # what is not checked here ends polars in a panic
    return pl.Series(pl.from_arrow(column)).to_list()


def _one(column: Column) -> Any:
    try:
        return _all(column)[0]
    except _UNTAKEN as error:
        content = pa.record_batch([column], names=["cell"]).serialize()
        return Fault(f"cannot be read: {words(error)}", digest(bytes(content)))


def _moments(column: Column) -> list[Any]:
    """Dates and times; those beyond Python's years, which stand for "until the end of time", as texts."""
    days = pa.types.is_date32(column.type)
    unit = "D" if days else "ms" if pa.types.is_date(column.type) else column.type.unit
    counts = pc.fill_null(column.view(pa.int32() if days else pa.int64()), 0).to_numpy(zero_copy_only=False)
    first, last = _ends(unit)
    beyond = np.flatnonzero((counts < first) | (counts > last))
    try:
        values = _all(column.filter(pa.array((counts >= first) & (counts <= last))) if len(beyond) else column)
    except _UNTAKEN:  # a time zone that nobody knows
        return [_one(column.slice(row, 1)) for row in range(len(column))]
    for row in beyond.tolist():
        values.insert(row, str(counts[row].astype(f"datetime64[{unit}]")))
    return values


def _ends(unit: str) -> tuple[int, int]:
    """The first and the last moment of Python's years; 64 bits of nanoseconds end within them."""
    if unit == "ns":
        return -(2**63) + 1, 2**63 - 1
    first, last = (int(end.astype(f"datetime64[{unit}]").astype(np.int64)) for end in (_FIRST, _LAST))
    return first, last + _LEFT.get(unit, 0)


def _summed(column: Column, elements: Weights) -> Weights:
    """Weights of lists from those of their elements."""
    sums = np.concatenate([np.zeros(1, np.int64), np.cumsum(elements + _ELEMENT)])
    at = column.offsets.to_numpy(zero_copy_only=False)
    return np.asarray(sums[at[1:]] - sums[at[:-1]], np.int64)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _content(cell: Any) -> str:
    """Digest of a large cell, which is not copied for it."""
    if isinstance(cell, pa.DictionaryScalar):
        cell = cell.value
    return digest(memoryview(cell.as_buffer()) if hasattr(cell, "as_buffer") else str(cell.type).encode())
