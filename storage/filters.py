"""Filters of a search: which values a column may have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING

from storage.database import import_lancedb
from storage.errors import InputError

if TYPE_CHECKING:
    from lancedb.expr import Expr

__all__ = ["COLUMNS", "Where", "expression", "parse"]

COLUMNS = ("source", "document", "key")

Where = Mapping[str, str | Sequence[str]]


def parse(conditions: Iterable[str]) -> dict[str, list[str]]:
    """Read conditions as a command line has them, `COLUMN=VALUE`; a column named twice may have either value.

    `COLUMN = 'VALUE'`, as SQL has it, and `COLUMN == VALUE` mean the same: as a value with blanks, quotes and a sign
    before it, it would fit nothing, unsaid. In quotes a value may begin with such a sign.

    Raises:
        InputError: A condition has another form, or names no column that can be filtered.
    """
    where: dict[str, list[str]] = {}
    for condition in conditions:
        column, equals, value = condition.partition("=")
        if not equals:
            raise InputError(f"where {condition!r}: write COLUMN=VALUE, with one of the columns {', '.join(COLUMNS)}")
        value = value.strip().removeprefix("=").strip()
        quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
        where.setdefault(column.strip(), []).append(value[1:-1] if quoted else value)
    _check(where)
    return where


def expression(where: Where) -> Expr:
    """The filter as LanceDB's own expression: values are literals in it, never text of a query.

    Args:
        where: Column to the value, or the values, that a chunk may have in it; every column must fit.

    Raises:
        InputError: A column cannot be filtered, or has no value to fit.
    """
    _check(where)
    expr = import_lancedb().expr
    fits: list[Expr] = [
        expr.col(column).isin([expr.lit(value) for value in _values(given)]) for column, given in where.items()
    ]
    return reduce(and_, fits)


def _check(where: Where) -> None:
    for column, given in where.items():
        if column not in COLUMNS:
            raise InputError(f"where: there is no column {column!r} to filter; there are {', '.join(COLUMNS)}")
        if not _values(given):
            raise InputError(f"where: column {column!r} has no value that would fit")


def _values(given: str | Sequence[str]) -> list[str]:
    return [given] if isinstance(given, str) else list(given)
