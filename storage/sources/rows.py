"""Rows of any table mapped to documents: types made plain, what is wrong named with its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import orjson
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from storage.encoding import decode
from storage.errors import InputError
from storage.sources.base import DOCUMENTS, Item, digest, row_revisions

__all__ = ["Batch", "Columns", "check_columns", "documents_of"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_JSON = orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS


class Columns(BaseModel):
    """Which column of a table is what."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(default="id", description="The document's id, unique in the source.")
    text: str = Field(default="text", description="The document's text.")
    title: str | None = Field(default=None, description="Its title; unless set, `title` where there is such a column.")
    licence: str | None = Field(default=None, description="Its licence (SPDX).")
    timestamp: str | None = Field(default=None, description="Its time: ISO 8601 (UTC if bare) or seconds since 1970.")
    queries: str | None = Field(default=None, description="Queries that it answers: one, or a list of them.")
    metadata: tuple[str, ...] = Field(default=(), description="Columns kept as metadata, beside the text.")

    def named(self) -> Mapping[str, str]:
        """The columns that must be there: what each is for, by its name."""
        single = {"id": self.id, "text": self.text, "title": self.title, "licence": self.licence}
        single |= {"timestamp": self.timestamp, "queries": self.queries}
        uses = {column: f"columns.{use}" for use, column in single.items() if column is not None}
        return uses | {column: "columns.metadata" for column in self.metadata if column not in uses}

    def wanted(self) -> frozenset[str]:
        """All columns to read where they are there."""
        return frozenset(self.named()) | {self.title or "title"}


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


class _Unfit(ValueError):
    """A value that cannot become what its column is for."""


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
    batch: Batch,
    columns: Columns,
    licence: str | None,
    keep: Callable[[pl.Series], pl.Series] | None = None,
) -> pl.DataFrame:
    """Map rows to the `DOCUMENTS` shape; a row with something wrong has it as its problem, and no text.

    Args:
        batch: The rows.
        columns: Which column is what.
        licence: Licence of rows that state none.
        keep: Tells by the ids which rows to go on with; None keeps all.
    """
    problems: dict[int, str] = {}
    ids = _mapped(batch, columns.id, _identity, problems)
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
    text = _mapped(batch, columns.text, _text, problems)
    for row in text.is_null().arg_true():
        problems.setdefault(row, f"no text in column {columns.text!r}")
    licences = _filled(_mapped(batch, columns.licence, _plain, problems))
    frame = pl.DataFrame(
        {
            "id": ids,
            "text": text,
            "title": _filled(_mapped(batch, columns.title or "title", _plain, problems)),
            "metadata": _metadata(batch, columns),
            "licence": licences.fill_null(licence) if licence else licences,
            "timestamp": _mapped(batch, columns.timestamp, _time, problems, DOCUMENTS["timestamp"]),
            "queries": _mapped(batch, columns.queries, _queries, problems, DOCUMENTS["queries"]).fill_null([]),
        }
    )
    return _judged(frame, batch, problems)


def _judged(frame: pl.DataFrame, batch: Batch, problems: Mapping[int, str]) -> pl.DataFrame:
    revision = row_revisions(frame)
    if not problems:
        return frame.with_columns(revision, pl.lit(None, pl.String).alias("problem"))
    revisions = revision.to_list()
    reasons: list[str | None] = [None] * len(frame)
    for row, problem in problems.items():
        offending = {column: cells[row] for column, cells in batch.values.items()}
        revisions[row] = digest(orjson.dumps(offending, default=str, option=_JSON))
        unit = {"L": "line", "R": "row"}[batch.unit]
        reasons[row] = f"{batch.file} {unit} {batch.numbers[row]}: {problem}"
    wrong = pl.Series("problem", reasons, dtype=pl.String)
    blanked = pl.when(wrong.is_null()).then(pl.col("text")).otherwise(pl.lit("")).alias("text")
    return frame.with_columns(blanked, pl.Series("revision", revisions, dtype=pl.String), wrong)


def _place(batch: Batch, row: int) -> str:
    return f"{batch.file}#{batch.unit}{batch.numbers[row]}"


def _mapped(
    batch: Batch,
    column: str | None,
    convert: Callable[[Any], Any],
    problems: dict[int, str],
    dtype: pl.DataType | type[pl.DataType] = pl.String,
) -> pl.Series:
    values = batch.values.get(column) if column is not None else None
    if values is None:
        return pl.Series([None] * len(batch.numbers), dtype=dtype)
    if dtype == pl.String:
        try:
            return pl.Series(values, dtype=pl.String, strict=True)
        except TypeError:
            pass  # mixed types: one by one
    converted: list[Any] = []
    for row, value in enumerate(values):
        try:
            converted.append(None if value is None else convert(value))
        except _Unfit as error:
            converted.append(None)
            problems.setdefault(row, f"column {column!r} {error}")
    return pl.Series(converted, dtype=dtype)


def _filled(values: pl.Series) -> pl.Series:
    """CSV has no null: an empty title or licence is none."""
    return values.set(values == "", None)


def _identity(value: Any) -> str:
    if isinstance(value, str | bytes):
        return _text(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))  # integers turn into floats where a column has gaps
    if isinstance(value, bool | float) or not isinstance(value, int | UUID):
        raise _Unfit(f"is no id: {_shown(value)}; write it as a string")
    return str(value)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return decode(value)
    raise _Unfit(f"is no text: {_shown(value)}")


def _plain(value: Any) -> str:
    if isinstance(value, list | dict):
        raise _Unfit(f"is no plain value: {_shown(value)}")
    if isinstance(value, str | bytes):
        return _text(value)
    return orjson.dumps(value, default=str).decode().strip('"')


def _time(value: Any) -> datetime | None:
    try:
        if isinstance(value, str):
            if not value.strip():
                return None
            value = datetime.fromisoformat(value.strip())
        elif isinstance(value, int | float) and not isinstance(value, bool):
            return _EPOCH + timedelta(seconds=value)
        if isinstance(value, datetime):
            return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
        if isinstance(value, date):
            return datetime(value.year, value.month, value.day, tzinfo=UTC)
    except (ValueError, OverflowError):
        pass
    raise _Unfit(f"is no time: {_shown(value)}; write ISO 8601, or seconds since 1970")


def _queries(value: Any) -> list[str]:
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = orjson.loads(value)  # how a list stands in a CSV cell
        except orjson.JSONDecodeError:
            return [value]
    if isinstance(value, str):
        return [value] if value.strip() else []
    if isinstance(value, list) and all(isinstance(query, str) for query in value):
        return value
    raise _Unfit(f"is neither a query nor a list of queries: {_shown(value)}")


def _metadata(batch: Batch, columns: Columns) -> pl.Series:
    kept = [column for column in columns.metadata if column in batch.values]
    if not kept:
        return pl.Series(["{}"], dtype=pl.String).new_from_index(0, len(batch.numbers))
    rows = zip(*(batch.values[column] for column in kept), strict=True)
    return pl.Series(
        [orjson.dumps(dict(zip(kept, row, strict=True)), default=_foreign, option=_JSON).decode() for row in rows],
        dtype=pl.String,
    )


def _foreign(value: Any) -> Any:
    return decode(value) if isinstance(value, bytes) else str(value)


def _shown(value: Any) -> str:
    shown = value if isinstance(value, str) else orjson.dumps(value, default=_foreign, option=_JSON).decode()
    return repr(shown[:80])
