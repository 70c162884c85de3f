"""Rows of any table mapped to documents: types made plain, what is wrong named with its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import NoneType
from typing import Any, NamedTuple

import polars as pl

from storage.errors import InputError
from storage.sources.base import DOCUMENTS, Item, row_revisions
from storage.sources.cells import (
    Convert,
    Fault,
    Unfit,
    content_digest,
    identity,
    json_text,
    plain,
    queries,
    shown,
    text,
)
from storage.sources.config import Columns
from storage.sources.times import time_of

__all__ = ["Batch", "RowMapping", "check_columns", "documents_of"]

_TIMES = "ISO 8601, RFC 2822, or seconds or milliseconds since 1970, or set time_format"
_UNITS = {"L": "line", "R": "row"}


class Batch(NamedTuple):
    """Some rows of one file, as the file gives them.

    Attributes:
        file: Label of the file.
        unit: How places are counted in it: `L` lines or `R` rows, from 1.
        numbers: Place of each row.
        values: Values of each wanted column that the file has.
        broken: What could not even be read as rows.
    """

    file: str
    unit: str
    numbers: Sequence[int]
    values: Mapping[str, Sequence[Any]]
    broken: Sequence[Item] = ()


class RowMapping(NamedTuple):
    """How the rows of a source become documents.

    Attributes:
        columns: Which column is what.
        licence: Licence of rows that state none.
        time_format: The form of times; None tries those that are known.
    """

    columns: Columns
    licence: str | None = None
    time_format: str | None = None


def check_columns(columns: Columns, there: Sequence[str], *, source: str, file: str) -> None:
    """Refuse a mapping that asks for columns which a file lacks.

    Raises:
        InputError: Naming the column asked for and those that are there.
    """
    for column, use in columns.named().items():
        if column not in there:
            listed = ", ".join(map(repr, there)) or "none"
            raise InputError(f"source {source!r}: {file} has no column {column!r} ({use}); its columns: {listed}")


def documents_of(
    batch: Batch, mapping: RowMapping, keep: Callable[[pl.Series], pl.Series] | None = None
) -> pl.DataFrame:
    """Map rows to the `DOCUMENTS` shape; a row with something wrong has it as its problem, and no text.

    Args:
        batch: The rows.
        mapping: How they become documents.
        keep: Tells by the ids which rows to go on with; None keeps all.
    """
    columns = mapping.columns
    problems: dict[int, str] = {}
    ids = _mapped(batch, columns.id, identity, problems)
    ids = ids.set(ids.str.strip_chars() == "", None)
    for row in ids.is_null().arg_true():
        problems.setdefault(row, f"no id in column {columns.id!r}")
    if problems:
        named = enumerate(ids.to_list())
        ids = pl.Series([_place(batch, row) if name is None else name for row, name in named], dtype=pl.String)
    if keep is not None:
        rows = keep(ids).arg_true()
        picked = rows.to_list()
        problems = {at: problems[row] for at, row in enumerate(picked) if row in problems}
        ids = ids.gather(rows)
        values = {column: [cells[row] for row in picked] for column, cells in batch.values.items()}
        batch = batch._replace(numbers=[batch.numbers[row] for row in picked], values=values)
    texts = _mapped(batch, columns.text, text, problems)
    for row in texts.is_null().arg_true():
        problems.setdefault(row, f"no text in column {columns.text!r}")
    licences = _filled(_mapped(batch, columns.licence, plain, problems))
    times, untimed = _times(batch, mapping)
    frame = pl.DataFrame(
        {
            "id": ids,
            "text": texts,
            "title": _filled(_mapped(batch, columns.title or "title", plain, problems)),
            "metadata": _metadata(batch, columns, problems),
            "licence": licences.fill_null(mapping.licence) if mapping.licence else licences,
            "timestamp": times,
            "queries": _mapped(batch, columns.queries, queries, problems, DOCUMENTS["queries"]).fill_null([]),
        }
    )
    return _judged(frame, batch, problems).with_columns(untimed)


def _judged(frame: pl.DataFrame, batch: Batch, problems: Mapping[int, str]) -> pl.DataFrame:
    revision = row_revisions(frame)
    if not problems:
        return frame.with_columns(revision, pl.lit(None, pl.String).alias("problem"))
    revisions = revision.to_list()
    reasons: list[str | None] = [None] * len(frame)
    for row, problem in problems.items():
        revisions[row] = content_digest({column: cells[row] for column, cells in batch.values.items()})
        reasons[row] = f"{_named(batch, row)}: {problem}"
    wrong = pl.Series("problem", reasons, dtype=pl.String)
    blanked = pl.when(wrong.is_null()).then(pl.col("text")).otherwise(pl.lit("")).alias("text")
    return frame.with_columns(blanked, pl.Series("revision", revisions, dtype=pl.String), wrong)


def _place(batch: Batch, row: int) -> str:
    return f"{batch.file}#{batch.unit}{batch.numbers[row]}"


def _named(batch: Batch, row: int) -> str:
    return f"{batch.file} {_UNITS[batch.unit]} {batch.numbers[row]}"


def _cells(batch: Batch, column: str | None) -> Sequence[Any]:
    values = batch.values.get(column) if column is not None else None
    return [None] * len(batch.numbers) if values is None else values


def _mapped(
    batch: Batch,
    column: str | None,
    convert: Convert,
    problems: dict[int, str],
    dtype: pl.DataType | type[pl.DataType] = pl.String,
) -> pl.Series:
    values = _cells(batch, column)
    # Looked at first: what polars makes of a nested value, before it refuses it, may take a gigabyte.
    if dtype == pl.String and {str, NoneType}.issuperset(map(type, values)):
        return pl.Series(values, dtype=pl.String)
    converted: list[Any] = []
    for row, value in enumerate(values):
        try:
            converted.append(None if value is None else _sound(value, convert))
        except Unfit as error:
            converted.append(None)
            problems.setdefault(row, f"column {column!r} {error}")
    return pl.Series(converted, dtype=dtype)


def _sound(value: Any, convert: Convert) -> Any:
    if isinstance(value, Fault):
        raise Unfit(value.why)
    return convert(value)


def _times(batch: Batch, mapping: RowMapping) -> tuple[pl.Series, pl.Series]:
    """Read the times; beside them what is wrong with those that are none, which costs a row nothing else."""
    column = mapping.columns.timestamp
    if column is None:
        nothing = pl.Series("untimed", [None] * len(batch.numbers), dtype=pl.String)
        return nothing.cast(DOCUMENTS["timestamp"]), nothing
    times: list[Any] = []
    untimed: list[str | None] = []
    for row, value in enumerate(_cells(batch, column)):
        found = wrong = None
        try:
            found = None if value is None else time_of(value, mapping.time_format)
        except ValueError:
            form = f"{mapping.time_format!r} (time_format)" if mapping.time_format else _TIMES
            why = value.why if isinstance(value, Fault) else f"is no time: {shown(value)}; write {form}"
            wrong = f"{_named(batch, row)}: column {column!r} {why}"
        times.append(found)
        untimed.append(wrong)
    return pl.Series(times, dtype=DOCUMENTS["timestamp"]), pl.Series("untimed", untimed, dtype=pl.String)


def _filled(values: pl.Series) -> pl.Series:
    """CSV has no null: an empty title or licence is none."""
    return values.set(values == "", None)


def _metadata(batch: Batch, columns: Columns, problems: dict[int, str]) -> pl.Series:
    kept = [column for column in columns.metadata if column in batch.values]
    if not kept:
        return pl.Series(["{}"], dtype=pl.String).new_from_index(0, len(batch.numbers))
    spelled: list[str] = []
    for row, cells in enumerate(zip(*(batch.values[column] for column in kept), strict=True)):
        record = dict(zip(kept, cells, strict=True))
        try:
            spelled.append(json_text(record))
        except Unfit as error:
            spelled.append("{}")
            problems.setdefault(row, f"column {_offending(record)!r} {error}")
    return pl.Series(spelled, dtype=pl.String)


def _offending(record: Mapping[str, Any]) -> str:
    """The first column whose value cannot be kept beside the others."""
    for column, value in record.items():
        try:
            json_text({column: value})
        except Unfit:
            return column
    return next(iter(record))
