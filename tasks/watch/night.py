"""What a night brought, as far as watching asks: what arrived, was refused or left, and where its vectors lie."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

import polars as pl

from storage.spill import Spill
from storage.tables.chunks import ChunkTable
from storage.tables.documents import DocumentTable
from storage.tables.lookup import as_bytes, distinct, find_sorted
from storage.tables.releases import Release
from storage.tables.store import Store
from tasks.context import Context
from tasks.tally import Preparation

__all__ = ["ARRIVALS", "CHUNKS", "TEXTS", "News", "Night", "night_of", "night_of_release", "own"]

ARRIVALS = {"key": pl.String, "source": pl.String, "id": pl.String, "duplicate": pl.Boolean}
CHUNKS = {"id": pl.String, "key": pl.String, "source": pl.String, "document": pl.String}
TEXTS: dict[str, Any] = {
    "key": pl.String,
    "source": pl.String,
    "id": pl.String,
    "text": pl.String,
    "licence": pl.String,
    "timestamp": pl.Datetime("us", "UTC"),
}
ARRIVED = ("new", "content")  # causes by which a text is new; another rule or another title is no news


@dataclass(frozen=True)
class Night:
    """What a night brought.

    Attributes:
        run: The run.
        now: When it began.
        sources: The sources that it looked at.
        known: Those of them that the index held documents of before.
        arrivals: ARRIVALS columns of the documents whose text is new; what moved is none.
        texts: Gives slices of TEXTS columns, of arrivals and others.
        chunks: Gives slices of CHUNKS columns, of the chunks that are new with the arrivals.
        refused: source, document and rule of what was refused tonight; None where nobody can tell any more.
        deleted: Source to the number of documents that left; None where nobody can tell any more.
        space: Id of the vector space.
        table: The chunks as they are written; None where the night ended before.
    """

    run: str
    now: datetime
    sources: tuple[str, ...]
    known: frozenset[str]
    arrivals: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=ARRIVALS))
    texts: Callable[[], Iterable[pl.DataFrame]] = field(default=tuple, repr=False)
    chunks: Callable[[], Iterable[pl.DataFrame]] = field(default=tuple, repr=False)
    refused: pl.DataFrame | None = None
    deleted: Mapping[str, int] | None = None
    space: str = ""
    table: ChunkTable | None = None


@dataclass(frozen=True)
class News:
    """What a preparation says of a night's news, without a row for every document that there is.

    Attributes:
        accepted: What was read and accepted.
        copies: Keys of all duplicates.
        moved: key and moved_from of documents that moved.
        deleted: Source to the number of documents that left.
        refused: source, document and rule of what was refused.
        upserts: Rows of the chunk table that come.
        table: That table.
    """

    accepted: Spill
    copies: pl.Series
    moved: pl.DataFrame
    deleted: Mapping[str, int]
    refused: pl.DataFrame
    upserts: Spill
    table: str

    @classmethod
    def of(cls, done: Preparation) -> Self:
        """What was prepared, as far as it is news."""
        validated, deduplicated = done.validated, done.deduplicated
        return cls(
            accepted=validated.accepted,
            copies=deduplicated.after.filter(pl.col("duplicate_of").is_not_null())["key"],
            moved=deduplicated.moved,
            deleted=dict(deduplicated.deleted.group_by("source").len().iter_rows()),
            refused=validated.refused.select("source", "document", "rule"),
            upserts=done.changes.upserts,
            table=done.changes.table,
        )


def own(few: pl.DataFrame) -> pl.DataFrame:
    """Rows by themselves: as polars picks them, they hold all texts that they were picked out of."""
    return pl.DataFrame(few.rows(), schema=few.schema, orient="row")


def night_of(context: Context, news: News, space: str, version: int | None = None) -> Night:
    """What a refresh brought.

    Args:
        context: The run.
        news: What of it is new.
        space: Id of the vector space.
        version: The version of the chunk table that it wrote; None where it wrote none.
    """
    accepted = news.accepted
    schema = {"key": pl.String, "source": pl.String, "id": pl.String, "cause": pl.String}
    fresh = accepted.frame(list(schema), dict(schema)).filter(pl.col("cause").is_in(ARRIVED))
    # Anti: a document that moved has a new id and no new text.
    arrivals = fresh.join(news.moved, on="key", how="anti").with_columns(
        pl.col("key").is_in(news.copies.implode()).alias("duplicate")
    )
    known = frozenset(context.ledger()["source"].unique())
    return Night(
        run=context.run,
        now=context.now,
        sources=tuple(source.name for source in context.sources),
        known=known,
        arrivals=arrivals.select(list(ARRIVALS)),
        texts=lambda: accepted.slices(list(TEXTS)),
        # Where the chunker or the encoder changed, all others are written too.
        chunks=lambda: _of(arrivals["key"], news.upserts.slices(list(CHUNKS))),
        refused=news.refused,
        deleted=news.deleted,
        space=space,
        table=None if version is None else ChunkTable(context.store, news.table, version),
    )


def _of(keys: pl.Series, chunks: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """The chunks of some documents, slice by slice."""
    wanted = distinct([keys])
    for part in chunks:
        yield part.filter(pl.Series(find_sorted(wanted, as_bytes(part["key"]))[1], dtype=pl.Boolean))


def night_of_release(store: Store, release: Release) -> Night:
    """What a release brought, as far as its tables still tell: the documents that its own run wrote.

    Args:
        store: The store.
        release: The release; one that was restored or embedded anew brought no documents of its own.
    """
    documents = DocumentTable(store, release.at("documents"))
    chunks = ChunkTable(store, release.chunks, release.at(release.chunks))
    columns = ["key", "source", "id", "duplicate_of", "run"]
    held = pl.concat(documents.slices(columns, rows=65_536)) if documents.rows else pl.DataFrame(schema=columns)
    mine = held.filter(pl.col("run") == release.run)
    arrivals = mine.with_columns(pl.col("duplicate_of").is_not_null().alias("duplicate")).select(list(ARRIVALS))

    def texts() -> Iterator[pl.DataFrame]:
        yield from documents.slices(list(TEXTS), keys=arrivals["key"])

    return Night(
        run=release.run,
        now=release.created,
        sources=tuple(sorted(held["source"].unique())),
        known=frozenset(held.filter(pl.col("run") != release.run)["source"].unique()),
        arrivals=arrivals,
        texts=texts,
        chunks=lambda: _of(arrivals["key"], chunks.columns(list(CHUNKS))),
        space=release.space,
        table=chunks,
    )
