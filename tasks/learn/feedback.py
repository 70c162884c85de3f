"""Logs of searches: what was asked, what was shown, and what was clicked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from storage.errors import InputError
from tasks.learn.asked import ASKED

__all__ = ["Feedback", "read_feedback"]

_ROWS = 5_000
_SHOWN = 3
_SEEN = pl.Schema({"question": pl.String, "document": pl.String, "source": pl.String, "clicks": pl.Int64})


@dataclass(frozen=True)
class Feedback:
    """What logs say.

    Attributes:
        asked: ASKED: what was clicked, with the number of clicks as its weight, and with grade 0 what was shown above
            it and never clicked for that question.
        malformed: Lines that are no record.
        unknown: Documents that were shown and that the release does not hold, or holds in more than one source.
        notes: Where the first malformed lines are, and what is wrong with them.
    """

    asked: pl.DataFrame
    malformed: int = 0
    unknown: int = 0
    notes: tuple[str, ...] = ()


class _Record(NamedTuple):
    question: str
    source: str | None
    above: Sequence[str]
    clicked: Sequence[str]


def read_feedback(files: Sequence[Path], ledger: pl.DataFrame) -> Feedback:
    """Read logs, some lines at a time; it holds each question with each of its documents once.

    A record has `query`, `shown` (ids of documents, best first) and `clicked` (an id, several, or none), and may have
    `source`, which a document's id needs where two sources have it.

    Args:
        files: JSON lines, or Parquet (`.parquet`).
        ledger: key, source, id, duplicate_of of the documents that the release holds.

    Raises:
        InputError: A file is not there or is no Parquet.
    """
    seen, notes, malformed = pl.DataFrame(schema=_SEEN), [], 0
    for file in files:
        wrong = 0
        records = _records(file)
        while batch := list(islice(records, _ROWS)):
            rows = []
            for line, record in batch:
                if isinstance(record, str):
                    wrong += 1
                    if wrong <= _SHOWN:
                        notes.append(f"{file}, {line}: {record}; the line was left out")
                else:
                    rows += [(record.question, name, record.source, 1) for name in record.clicked]
                    rows += [(record.question, name, record.source, 0) for name in record.above]
            both = pl.concat([seen, pl.DataFrame(rows, schema=_SEEN, orient="row")])
            seen = both.group_by("question", "document", "source").agg(pl.col("clicks").sum())
        if wrong > _SHOWN:
            notes.append(f"{file}: {wrong:,} lines were left out")
        malformed += wrong
    asked, unknown = _known(seen, ledger)
    return Feedback(asked, malformed, unknown, tuple(notes))


def _known(seen: pl.DataFrame, ledger: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    indexed = pl.coalesce("duplicate_of", "key").alias("key")
    places = ledger.select("source", pl.col("id").alias("document"), indexed)
    single = places.filter(pl.col("key").n_unique().over("document") == 1).unique("document").drop("source")
    # Inner: only what the release holds can be learned from; without a source the id must say it alone.
    told = seen.filter(pl.col("source").is_not_null()).join(places, on=["source", "document"], how="inner")
    guessed = seen.filter(pl.col("source").is_null()).join(single, on="document", how="inner")
    found = pl.concat([told.select("question", "key", "clicks"), guessed.select("question", "key", "clicks")])
    each = found.group_by("question", "key").agg(pl.col("clicks").sum()).sort("question", "key")
    asked = each.select(
        "question",
        "key",
        pl.lit("feedback").alias("kind"),
        (pl.col("clicks") > 0).cast(pl.Int32).alias("grade"),
        pl.col("clicks").clip(1).cast(pl.Float32).alias("weight"),
        pl.lit(None, pl.String).alias("fixed"),
    )
    return asked.select(ASKED.names()), seen.height - told.height - guessed.height


def _records(file: Path) -> Iterator[tuple[str, _Record | str]]:
    """Yield where each record stands, and the record or what is wrong with it."""
    try:
        if file.suffix.lower() == ".parquet":
            with pq.ParquetFile(file) as table:
                rows = (row for part in table.iter_batches(_ROWS) for row in part.to_pylist())
                for number, row in enumerate(rows, 1):
                    yield f"row {number}", _record(row)
        else:
            with file.open("rb") as lines:
                for number, line in enumerate(lines, 1):
                    if line.strip():
                        yield f"line {number}", _parsed(line)
    except pa.ArrowInvalid as error:
        raise InputError(f"{file}: is no Parquet file: {str(error).splitlines()[0]}") from error
    except OSError as error:
        raise InputError(f"{file}: the log of searches cannot be read: {error.strerror or error}") from error


def _parsed(line: bytes) -> _Record | str:
    try:
        return _record(orjson.loads(line))
    except orjson.JSONDecodeError as error:
        return f"not valid JSON: {error.msg} (column {error.colno})"


def _record(row: Any) -> _Record | str:
    if not isinstance(row, dict):
        return "not a JSON object"
    question, shown, clicked, source = (row.get(name) for name in ("query", "shown", "clicked", "source"))
    if not isinstance(question, str) or not question.strip():
        return "`query` is no text"
    clicked = [clicked] if isinstance(clicked, str) else clicked or []
    shown = shown or []
    for name, value in (("shown", shown), ("clicked", clicked)):
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            return f"`{name}` is no list of document ids"
    if source is not None and not isinstance(source, str):
        return "`source` is no text"
    # Below the last click nobody may have looked.
    last = max((at for at, name in enumerate(shown) if name in clicked), default=0)
    above = [name for name in shown[:last] if name not in clicked]
    return _Record(" ".join(question.split()), source, above, list(dict.fromkeys(clicked)))
