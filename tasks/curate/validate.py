"""Read what may have changed and let in what the rules accept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from storage.hashing import digest, fingerprint
from storage.sources import Source
from storage.spill import Spill
from tasks.context import Context
from tasks.curate.validation import BatchVerdict, Validator
from tasks.curate.validation.rules import Suite
from tasks.ingest.normalise import normalise
from tasks.ingest.plan import Plan
from tasks.stage import stage

__all__ = ["ValidationResult", "identified", "validate"]

REFUSED = ["key", "source", "document", "revision", "rule", "rule_version", "reason", "judged", "excerpt"]
RECORD = ["title", "metadata", "licence", "queries"]
TOUCHED: dict[str, Any] = {"key": pl.String, "revision": pl.String, "timestamp": pl.Datetime("us", "UTC")}
EXCERPT = 200  # characters of a refused text that the quarantine shows


@dataclass
class ValidationResult:
    """What the rules said of the documents that were read.

    Attributes:
        accepted: Spill of documents to write: the columns of `documents` except duplicate_of, n_chunks and run,
            with `cause`: new, content, metadata or rules.
        refused: Rows for the quarantine.
        refused_keys: Keys of documents whose content was refused; their old version leaves the index.
        unreadable: Keys of documents that exist and could not be read; their old version stays.
        touched: key, revision, timestamp of documents that changed in nothing else; they cause no release, but the
            next one carries them, so that they are not read again every night.
        vanished: How many were gone between listing and reading; an old version of them stays for this night.
        absent: How many of the vanished have no old version.
        judged: How many were judged by the rules.
        verdict: What the expectations on the whole batch said.
    """

    accepted: Spill
    refused: pl.DataFrame
    refused_keys: pl.Series
    unreadable: pl.Series
    touched: pl.DataFrame
    vanished: int = 0
    absent: int = 0
    judged: int = 0
    causes: dict[str, int] = field(default_factory=dict)
    verdict: BatchVerdict | None = None
    validator: Validator | None = None

    @property
    def counts(self) -> dict[str, int]:
        """Documents a verdict."""
        return {
            "accepted": self.accepted.rows,
            "refused": self.refused.height,
            "touched": self.touched.height,
            "vanished": self.vanished,
        }


def identified(frame: pl.DataFrame) -> pl.DataFrame:
    """Normalise the text of documents and add the two hashes that say what changed.

    `content_hash` covers what the encoder sees; `record_hash` what a reader sees besides. The timestamp is in neither:
    a touched file is no changed document.
    """
    texts = [normalise(text) for text in frame["text"]]
    records = [fingerprint(row) for row in frame.select(RECORD).iter_rows()]
    return frame.with_columns(
        pl.Series("text", texts, dtype=pl.String),
        pl.Series("content_hash", [digest(text) for text in texts], dtype=pl.String),
        pl.Series("record_hash", records, dtype=pl.String),
    )


def readings(source: Source, candidates: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Read the candidates of one source; rows that are broken as listed come first, with their problem.

    `passing` tells a document that could not be read just now from one whose content is wrong.
    """
    broken = candidates.filter(pl.col("problem").is_not_null())
    if broken.height:
        yield broken.select("source", "id", "key", "row", "occurrence", "revision", "problem").with_columns(
            pl.lit("").alias("text"),
            pl.lit(None, pl.String).alias("title"),
            pl.lit("{}").alias("metadata"),
            pl.lit(None, pl.String).alias("licence"),
            pl.lit(None, pl.Datetime("us", "UTC")).alias("timestamp"),
            pl.lit([], pl.List(pl.String)).alias("queries"),
            pl.lit(value=False).alias("passing"),
        )
    wanted = candidates.filter(pl.col("problem").is_null()).select("id", "key", "row", "occurrence")
    if wanted.is_empty():
        return
    asked = wanted.select("id").unique(maintain_order=True).with_row_index("at")
    met = np.zeros(asked.height, dtype=np.int64)  # rows of each id so far: they may come in different slices
    for part in source.read(asked["id"]):
        # A source hands on every row of an id: the listing's second row of an id is the second that is read.
        frame = part.join(asked, on="id", how="inner", maintain_order="left")
        at = frame["at"].to_numpy()
        nth = pl.int_range(pl.len()).over("id") + 1 + pl.Series(met[at], dtype=pl.Int64)
        frame = frame.drop("at").with_columns(nth.cast(pl.Int64).alias("occurrence"))
        np.add.at(met, at, 1)
        yield frame.join(wanted, on=["id", "occurrence"], how="inner", maintain_order="left").with_columns(
            pl.lit(source.name).alias("source"), pl.col("problem").is_not_null().alias("passing")
        )


@stage
def validate(context: Context, suite: Suite, plan: Plan) -> ValidationResult:
    """Read every candidate, drop what did not change, judge the rest, spill what is accepted."""
    ledger = context.ledger().select(
        "key", pl.col("content_hash").alias("old_content"), pl.col("record_hash").alias("old_record"), "judged"
    )
    out = ValidationResult(
        context.workspace.spill("accepted"), pl.DataFrame(), pl.Series(), pl.Series(), pl.DataFrame()
    )
    refused: list[pl.DataFrame] = []
    touched: list[pl.DataFrame] = []
    read: list[pl.Series] = []
    total = plan.candidates.height
    for source in context.sources:
        mine = plan.candidates.filter(pl.col("source") == source.name)
        now = context.judged[source.name]
        for part in readings(source, mine):
            read.append(part["row"])
            frame = identified(part).join(ledger, on="key", how="left", maintain_order="left")
            same = (pl.col("content_hash") == pl.col("old_content")) & (pl.col("record_hash") == pl.col("old_record"))
            # A second row of an id is no document, however equal to the first: it is judged, and refused, by itself.
            sound = pl.col("problem").is_null() & (pl.col("occurrence") == 1)
            alike = (same & (pl.col("judged") == now) & sound).fill_null(value=False)
            frame = frame.with_columns(alike.alias("alike"))
            touched.append(frame.filter("alike").select(list(TOUCHED)))
            fresh = frame.filter(~pl.col("alike")).with_columns(pl.lit(now).alias("judged"))
            if fresh.height:
                refused.append(_judge(context, suite, out, fresh))
            context.progress.advance(sum(map(len, read)), total, "documents")
    _settle(out, refused)
    out.touched = pl.concat(touched) if touched else pl.DataFrame(schema=TOUCHED)
    there = pl.DataFrame({"row": pl.concat(read) if read else []}, schema={"row": pl.String})
    missing = plan.candidates.join(there, on="row", how="anti")
    out.vanished = missing.height
    out.absent = missing.join(ledger, left_on="row", right_on="key", how="anti").height
    if out.validator is not None:
        out.verdict = out.validator.verdict()
    return out


def _judge(context: Context, suite: Suite, out: ValidationResult, frame: pl.DataFrame) -> pl.DataFrame:
    """Validator one slice: the accepted rows are spilled, the refused ones come back for the quarantine."""
    if out.validator is None:  # Great Expectations takes seconds to import: a night without news does without it
        out.validator = Validator(suite, context.now)
    verdicts = out.validator.rows(frame.drop("key").rename({"row": "key"}))  # a repeated id has rows of its own
    out.judged += frame.height
    accepted = frame.filter(verdicts.accepted).with_columns(
        pl.when(pl.col("old_content").is_null())
        .then(pl.lit("new"))
        .when(pl.col("old_content") != pl.col("content_hash"))
        .then(pl.lit("content"))
        .when(pl.col("old_record") != pl.col("record_hash"))
        .then(pl.lit("metadata"))
        .otherwise(pl.lit("rules"))
        .alias("cause")
    )
    for cause, count in accepted.group_by("cause").len().iter_rows():
        out.causes[cause] = out.causes.get(cause, 0) + int(count)
    out.accepted.append(
        accepted.select(
            *("key", "source", "id", "revision", "content_hash", "record_hash", "judged", "title", "metadata"),
            *("licence", "timestamp", "queries", "text", "cause"),
        )
    )
    reasons = verdicts.refusals.select(
        pl.col("key").alias("row"), "rule", pl.col("rule_version").cast(pl.String), "reason"
    )
    rows = frame.filter(~verdicts.accepted).join(reasons, on="row", how="left", maintain_order="left")
    return rows.with_columns(
        pl.col("id").alias("document"),
        pl.col("key").alias("document_key"),
        pl.col("row").alias("key"),
        pl.col("text").str.slice(0, EXCERPT).alias("excerpt"),
        (pl.col("passing") & pl.col("old_content").is_not_null()).alias("unreadable"),
    ).select(*REFUSED, "document_key", "unreadable", "occurrence")


def _settle(out: ValidationResult, refused: list[pl.DataFrame]) -> None:
    """Tell refused documents, whose old version goes, from unreadable ones, whose old version stays."""
    schema: dict[str, Any] = dict.fromkeys([*REFUSED, "document_key"], pl.String)
    schema |= {"unreadable": pl.Boolean, "occurrence": pl.Int64}
    rows = pl.concat(refused) if refused else pl.DataFrame(schema=schema)
    out.refused = rows.select(REFUSED)
    first = rows.filter(pl.col("occurrence") == 1)
    out.unreadable = first.filter(pl.col("unreadable"))["document_key"]
    out.refused_keys = first.filter(~pl.col("unreadable"))["document_key"]
