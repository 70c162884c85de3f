"""A source of the user's own, held to the shapes of the house: what it does wrong names the source and the call."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import orjson
import polars as pl

from storage.errors import SourceFailed, TidemarkError, summary
from storage.sources.base import DOCUMENTS, LISTING, Source

__all__ = ["CheckedSource", "called"]

_END: Any = object()
# What a frame of each method has to have; every other column may be left out.
_NEEDED = {"list()": ("id", "revision"), "read(ids)": ("id", "text")}


@contextmanager
def called(name: str, what: str, doing: Callable[[], str] = str) -> Iterator[None]:
    """Name the source and the call in whatever the user's code raises, or in its wish to leave.

    Args:
        name: Name of the source.
        what: The class and its method.
        doing: Tells how far the call was.

    Raises:
        SourceFailed: Always in place of what was raised, but for Tidemark's own errors.
    """
    try:
        yield
    except TidemarkError:
        raise
    except SystemExit as left:
        raise SourceFailed(
            f"source {name!r}: {what} asked to leave with sys.exit({left.code!r}){doing()}; raise an error"
        ) from left
    except Exception as error:
        raise SourceFailed(f"source {name!r}: {what} failed{doing()}: {summary(error)}") from error


class CheckedSource:
    """The source that a class of the user's made; rows that are wrong by themselves get a problem.

    Its frames need `id` and `revision` in a listing, and `id` and `text` as documents; what else they lack is null, and
    a document without a revision has the listed one.

    Args:
        source: The source.
        name: Its name in the configuration, which counts whatever it calls itself.
        kind: The class, for messages.
    """

    def __init__(self, source: Source, name: str, kind: str) -> None:
        self.name = name
        self._source = source
        self._kind = kind

    def list(self) -> Iterator[pl.DataFrame]:
        """Yield the listing; a row without id or revision is told by its place. See `Source.list`."""
        counted = [0]
        for part in self._frames("list()", self._source.list, lambda: f" after {counted[0]:,} rows"):
            yield _named(self._shaped(part, LISTING, "list()"), self.name, counted[0])
            counted[0] += len(part)

    def read(self, ids: pl.Series) -> Iterator[pl.DataFrame]:
        """Yield the documents; a row without a text, or with metadata that are no JSON, is told. See `Source.read`."""
        given: builtins.list[pl.Series] = []

        def reached() -> str:
            rest = ids.filter(~ids.hash().is_in(pl.concat(given).implode())) if given else ids
            at = f", the first id that it had not given is {rest[0]!r}" if len(rest) else ""
            return f" after {len(ids) - len(rest):,} of {len(ids):,} ids{at}"

        for part in self._frames("read(ids)", lambda: self._source.read(ids), reached):
            frame = self._shaped(part, DOCUMENTS, "read(ids)")
            yield _judged(frame)
            given.append(frame["id"].hash())

    def _frames(
        self, method: str, call: Callable[[], Iterator[pl.DataFrame]], doing: Callable[[], str]
    ) -> Iterator[pl.DataFrame]:
        what = f"{self._kind}.{method}"
        with called(self.name, what, doing):
            parts = iter(call())
        while True:
            with called(self.name, what, doing):
                part = next(parts, _END)
            if part is _END:
                return
            if not isinstance(part, pl.DataFrame):
                raise SourceFailed(
                    f"source {self.name!r}: {what} gave a {type(part).__name__}{doing()}; yield polars data frames"
                )
            yield part

    def _shaped(self, part: pl.DataFrame, shape: pl.Schema, method: str) -> pl.DataFrame:
        """Bring a frame to the columns and types of a shape."""
        where = f"source {self.name!r}: a frame of {self._kind}.{method}"
        lacking = [name for name in _NEEDED[method] if name not in part.columns]
        if lacking:
            raise SourceFailed(
                f"{where} has no column {lacking[0]!r}; its columns: {', '.join(part.columns) or 'none'}"
            )
        columns = []
        for name, dtype in shape.items():
            column = part[name] if name in part.columns else pl.Series(name, [None], dtype).new_from_index(0, len(part))
            try:
                columns.append(column.cast(dtype))
            except pl.exceptions.PolarsError as error:
                raise SourceFailed(f"{where} has the column {name!r} as {column.dtype}; it must be {dtype}") from error
        return pl.DataFrame(columns)


def _named(frame: pl.DataFrame, source: str, before: int) -> pl.DataFrame:
    """Give rows without an id their place for one, and a problem to those that could not be compared."""
    nameless = pl.col("id").is_null() | (pl.col("id").str.strip_chars() == "")
    number = pl.int_range(before + 1, before + 1 + pl.len())
    place = pl.format("{}#R{}", pl.lit(source), number)
    problem = (
        pl.when(nameless)
        .then(pl.format("row {} of list() has no id: give each document a unique one", number))
        .when(pl.col("revision").is_null())
        .then(pl.format("id {} has no revision: give one that changes with the document", pl.col("id")))
    )
    return frame.with_columns(
        pl.when(nameless).then(place).otherwise(pl.col("id")).alias("id"),
        pl.col("revision").fill_null(""),
        pl.coalesce(pl.col("problem"), problem).alias("problem"),
    )


def _judged(frame: pl.DataFrame) -> pl.DataFrame:
    """Give a problem to documents without a text or with metadata that are no JSON object, and fill what may lack."""
    unsound = pl.Series([not _is_object(text) for text in frame["metadata"]], dtype=pl.Boolean)
    silent = pl.col("text").is_null() & pl.col("blob").is_null()
    problem = (
        pl.when(silent)
        .then(pl.format("id {}: read(ids) gave no text", pl.col("id")))
        .when(unsound)
        .then(pl.format("id {}: read(ids) gave metadata that are no JSON object", pl.col("id")))
    )
    found = frame.with_columns(pl.coalesce(pl.col("problem"), problem).alias("problem"))
    wrong = pl.col("problem").is_not_null()
    return found.with_columns(
        pl.when(wrong).then(pl.lit("")).otherwise(pl.col("text").fill_null("")).alias("text"),
        pl.when(wrong | pl.col("metadata").is_null())
        .then(pl.lit("{}"))
        .otherwise(pl.col("metadata"))
        .alias("metadata"),
        pl.col("queries").fill_null([]),
    )


def _is_object(text: Any) -> bool:
    if text is None:
        return True
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False
