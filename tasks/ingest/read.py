"""Read what may have changed, normalise and hash it, and drop what turns out to be as it was."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from storage.hashing import digest, fingerprint
from storage.sources import Source
from storage.sources.base import DOCUMENTS, NO_BLOB, OPTIONAL
from storage.spill import Spill
from storage.tables.shortlist import Shortlist
from tasks.context import Context
from tasks.curate.decisions import NO_DECISIONS, Decisions
from tasks.ingest.normalise import normalise
from tasks.ingest.plan import Plan
from tasks.ingest.redact import Redaction, redact
from tasks.stage import stage

logger = logging.getLogger(__name__)

__all__ = ["Reading", "identified", "read", "readings"]

RECORD = ["title", "metadata", "licence", "queries"]
TOUCHED: dict[str, Any] = {"key": pl.String, "revision": pl.String, "timestamp": pl.Datetime("us", "UTC")}


@dataclass(frozen=True)
class Reading:
    """What the sources gave of the rows that a plan asked for.

    Attributes:
        documents: Spill of rows to judge: a document's columns as normalised, its hashes, `judged` (the fingerprint of
            the rules that hold now), what the ledger holds of it (`old_content`, `old_record`, `old_revision`, null
            where it holds none), and `passing`: whether its problem came up while it was read.
        touched: key, revision, timestamp of documents that changed in nothing else; they cause no release, but the
            next one carries them, so that they are not read again every night.
        missing: Rows that were listed and gone when they were read; an old version of them stays for this night.
        absent: How many of the missing have no old version.
        untimed: How many rows have a time that cannot be read, and therefore none.
        redacted: Rule to the rows from which it took something out.
    """

    documents: Spill
    touched: pl.DataFrame
    missing: pl.Series
    absent: int
    untimed: int = 0
    redacted: Mapping[str, int] = field(default_factory=dict)

    @property
    def vanished(self) -> int:
        """How many rows were gone between listing and reading."""
        return len(self.missing)

    @property
    def counts(self) -> dict[str, int]:
        """Rows a fate."""
        counts = {"read": self.documents.rows, "touched": self.touched.height, "vanished": self.vanished}
        return counts | {"untimed": self.untimed, "redacted": sum(self.redacted.values())}


def identified(frame: pl.DataFrame, redactions: Sequence[Redaction] = ()) -> pl.DataFrame:
    """Normalise the text of documents, redact it, and add the two hashes that say what changed.

    `content_hash` covers what the encoder sees; `record_hash` what a reader sees besides. The timestamp is in neither:
    a touched file is no changed document.
    """
    texts = pl.Series("text", [normalise(text) for text in frame["text"]], dtype=pl.String)
    frame = redact(frame.with_columns(texts), redactions)
    records = [fingerprint(row) for row in frame.select(RECORD).iter_rows()]
    return frame.with_columns(
        pl.Series("content_hash", [digest(text) for text in frame["text"]], dtype=pl.String),
        pl.Series("record_hash", records, dtype=pl.String),
    )


def readings(source: Source, candidates: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Read the candidates of one source; rows that are broken as listed come first, with their problem.

    `passing` tells a document that could not be read just now from one that is broken as listed.
    """
    broken = candidates.filter(pl.col("problem").is_not_null())
    if broken.height:
        yield _unread(broken)
    listed = pl.col("revision").alias("listed")
    wanted = candidates.filter(pl.col("problem").is_null()).select("id", "key", "row", "occurrence", listed)
    if wanted.is_empty():
        return
    asked = wanted.select("id").unique(maintain_order=True).with_row_index("at")
    numbers, rows = Shortlist(asked, "id"), Shortlist(wanted, "id")
    met = np.zeros(asked.height, dtype=np.int64)  # rows of each id so far: they may come in different slices
    for part in source.read(asked["id"]):
        # A source hands on every row of an id: the listing's second row of an id is the second that is read. Inner,
        # since a source may hand on more than it was asked for.
        absent = [pl.lit(None, DOCUMENTS[name]).alias(name) for name in OPTIONAL if name not in part.columns]
        here = numbers.of(part["id"])
        frame = part.with_columns(absent).join(here, on="id", how="inner", maintain_order="left")
        at = frame["at"].to_numpy()
        nth = pl.int_range(pl.len()).over("id") + 1 + pl.Series(met[at], dtype=pl.Int64)
        frame = frame.drop("at").with_columns(nth.cast(pl.Int64).alias("occurrence"))
        np.add.at(met, at, 1)
        # `wanted` holds one row an occurrence that is a candidate. Inner: of an id's rows, those that the plan did not
        # ask for are as they were, or held. A source that names no revision as it reads has read what it listed, or
        # something newer, which the next listing tells.
        yield (
            frame.join(rows.of(frame["id"]), on=["id", "occurrence"], how="inner", maintain_order="left")
            .with_columns(
                pl.coalesce("revision", "listed").alias("revision"),
                pl.lit(source.name).alias("source"),
                pl.col("problem").is_not_null().alias("passing"),
            )
            .drop("listed")
        )
    # Rows that were listed oftener than read. Left: each row of `wanted` has the count of its id.
    counts = asked.with_columns(pl.Series("met", met, dtype=pl.Int64))
    again = wanted.join(counts, on="id", how="left", maintain_order="left").filter(
        (pl.col("met") > 0) & (pl.col("occurrence") > pl.col("met"))
    )
    if again.height:
        yield _unread(_repeated(candidates.join(again, on="row", how="semi", maintain_order="left")))


def _repeated(rows: pl.DataFrame) -> pl.DataFrame:
    """Tell of rows that only repeat the id of another: without a content of their own they would be in no count."""
    what = pl.format("id {} is listed {} times and read fewer: the first stands", pl.col("id"), pl.col("occurrence"))
    return rows.with_columns(what.alias("problem"))


def _unread(broken: pl.DataFrame) -> pl.DataFrame:
    """Rows that are broken as listed, in the shape of read ones and without content."""
    return broken.select("source", "id", "key", "row", "occurrence", "revision", "problem").with_columns(
        pl.lit("").alias("text"),
        pl.lit(None, pl.String).alias("title"),
        pl.lit("{}").alias("metadata"),
        pl.lit(None, pl.String).alias("licence"),
        pl.lit(None, pl.Datetime("us", "UTC")).alias("timestamp"),
        pl.lit([], pl.List(pl.String)).alias("queries"),
        pl.lit(value=False).alias("passing"),
        NO_BLOB,
        pl.lit(None, pl.String).alias("untimed"),
    )


@stage
def read(context: Context, plan: Plan, decisions: Decisions = NO_DECISIONS) -> Reading:
    """Read every candidate, drop what did not change, spill the rest for the rules to judge."""
    ledger = context.ledger().select(
        "key",
        pl.col("revision").alias("old_revision"),
        pl.col("content_hash").alias("old_content"),
        pl.col("record_hash").alias("old_record"),
        pl.col("judged").alias("old_judged"),
    )
    held = Shortlist(ledger, "key")
    documents = context.workspace.spill("read")
    touched: list[pl.DataFrame] = []
    met: list[pl.Series] = []
    untimed = 0
    redacted: Counter[str] = Counter()
    for frame in _candidates(context, plan, held, decisions):
        met.append(frame["row"])
        touched.append(frame.filter("alike").select(list(TOUCHED)))
        untimed += _told(frame, first=not untimed)
        redacted.update(frame["redacted"].explode().drop_nulls())
        documents.append(frame.filter(~pl.col("alike")).drop("alike", "old_judged", "redacted"))
        context.progress.advance(sum(map(len, met)), plan.candidates.height, "documents")
    there = pl.DataFrame({"row": pl.concat(met) if met else []}, schema={"row": pl.String})
    # Candidates that no source handed on. Anti on the row: of an id with two rows, one may have come and one not.
    missing = plan.candidates.join(there, on="row", how="anti", maintain_order="left")
    return Reading(
        documents=documents,
        touched=pl.concat(touched) if touched else pl.DataFrame(schema=TOUCHED),
        missing=missing["row"],
        # Of those, the ones without a ledger row: nothing of them is counted anywhere tonight.
        absent=missing.join(ledger, left_on="row", right_on="key", how="anti").height,
        untimed=untimed,
        redacted=redacted,
    )


def _told(frame: pl.DataFrame, *, first: bool) -> int:
    """Count the times that cannot be read, and warn of the first: one costs nothing else, so nothing else tells it."""
    # Not those of rows that are refused anyway.
    wrong = frame.filter(pl.col("untimed").is_not_null() & pl.col("problem").is_null())
    if first and wrong.height:
        source, what = wrong.row(0, named=True)["source"], wrong["untimed"][0]
        logger.warning("source %r: %s; the document is taken in without a time", source, what)
    return wrong.height


def _candidates(context: Context, plan: Plan, held: Shortlist, decisions: Decisions) -> Iterator[pl.DataFrame]:
    """Read slice by slice, each row beside what the ledger holds of its document."""
    for source in context.sources:
        mine = plan.candidates.filter(pl.col("source") == source.name)
        now = context.rules_fingerprints[source.name]
        for part in readings(source, mine):
            frame, known = identified(part, context.redactions), held.of(part["key"])
            # Left: a document that the ledger does not know is new, and no reason to drop it.
            frame = frame.join(known, on="key", how="left", maintain_order="left")
            rules = pl.Series("judged", [now], dtype=pl.String).new_from_index(0, frame.height)
            frame = frame.with_columns(decisions.judged(frame["row"], rules))
            same = (pl.col("content_hash") == pl.col("old_content")) & (pl.col("record_hash") == pl.col("old_record"))
            # A second row of an id is no document, however equal to the first: it is judged, and refused, by itself.
            sound = pl.col("problem").is_null() & (pl.col("occurrence") == 1)
            alike = (same & (pl.col("old_judged") == pl.col("judged")) & sound).fill_null(value=False)
            yield frame.with_columns(alike.alias("alike"))
