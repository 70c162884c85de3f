"""Let in what the rules accept, and tell which refused documents keep the version that the index holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from storage.spill import Spill
from storage.tables.waivers import Waiver
from tasks.context import Context
from tasks.curate.decisions import NO_DECISIONS, Decisions, content_of
from tasks.curate.validation import BatchVerdict, RowVerdicts, Suite, Validator
from tasks.ingest.plan import forbidden
from tasks.ingest.read import Reading
from tasks.stage import stage

__all__ = ["ValidationResult", "validate"]

# Columns of a quarantine row, but for what the quarantine itself adds.
REFUSED: dict[str, Any] = {
    **dict.fromkeys(["key", "source", "document", "revision", "rule", "rule_version", "reason", "judged"], pl.String),
    "excerpt": pl.String,
    "defect": pl.Boolean,
}
FATES: dict[str, Any] = {"document_key": pl.String, "fate": pl.String, "passing": pl.Boolean}
ACCEPTED = ["key", "source", "id", "revision", "content_hash", "record_hash", "judged", "title", "metadata"]
ACCEPTED += ["licence", "timestamp", "queries", "text", "blob", "cause"]
# What waivers let in: the row, the rule and its reason, the waiver with its words, and the content that it holds for.
WAIVED: dict[str, Any] = dict.fromkeys(["key", "rule", "reason", "waiver", "told", "content"], pl.String)
EXCERPT = 200  # characters of a refused text that the quarantine shows


@dataclass(frozen=True)
class ValidationResult:
    """What the rules said of the documents that were read.

    Attributes:
        accepted: Spill of documents to write: the columns of `documents` except duplicate_of, n_chunks and run,
            with `cause`: new, content, metadata or rules.
        refused: Rows for the quarantine.
        unwanted: Keys of documents that the release holds and that a policy refused; they leave the index.
        stale: Keys of documents that the release holds and whose new version has a defect; the old one stays.
        unreadable: How many of the stale exist and could not be read just now.
        judged: How many were judged by the rules.
        causes: Why documents were accepted: how many a cause.
        verdict: What the expectations on the whole batch said; None where nothing was judged.
        waived: Documents that a rule would have refused and a waiver let past it, WAIVED columns.
    """

    accepted: Spill
    refused: pl.DataFrame
    unwanted: pl.Series
    stale: pl.Series
    unreadable: int
    judged: int
    causes: Mapping[str, int]
    verdict: BatchVerdict | None
    waived: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=WAIVED))

    @property
    def flagged(self) -> dict[str, int]:
        """Rows that rules found and let in: how many a rule."""
        return {} if self.verdict is None else self.verdict.flagged

    @property
    def counts(self) -> dict[str, int]:
        """Documents a verdict."""
        return {
            "accepted": self.accepted.rows,
            "refused": self.refused.height,
            "stale": len(self.stale),
            "flagged": sum(self.flagged.values()),
        }


class _Gathering:
    """Gathers the verdicts on slices into one result."""

    def __init__(self, accepted: Spill) -> None:
        self.accepted = accepted
        self.causes: dict[str, int] = {}
        self.refused: list[pl.DataFrame] = []
        self.waived: list[pl.DataFrame] = []

    def take(self, frame: pl.DataFrame, verdicts: RowVerdicts, waivers: Mapping[tuple[str, str], Waiver]) -> None:
        """Spill the accepted rows of one slice and keep the refused ones."""
        accepted = frame.filter(verdicts.accepted).with_columns(_cause())
        for cause, count in accepted.group_by("cause").len().iter_rows():
            self.causes[cause] = self.causes.get(cause, 0) + int(count)
        self.accepted.append(accepted.select(ACCEPTED))
        self.refused.append(_refused(frame.filter(~verdicts.accepted), verdicts.refusals))
        if verdicts.waived.height:
            self.waived.append(_waived(frame, verdicts.waived, waivers))

    def result(self, judged: int, verdict: BatchVerdict | None) -> ValidationResult:
        """Tell refused documents, whose old version goes, from broken ones, whose old version stays."""
        schema = REFUSED | FATES
        rows = pl.concat(self.refused) if self.refused else pl.DataFrame(schema=schema)
        stale = rows.filter(pl.col("fate") == "stale")
        return ValidationResult(
            accepted=self.accepted,
            refused=rows.select(list(REFUSED)),
            unwanted=rows.filter(pl.col("fate") == "unwanted")["document_key"],
            stale=stale["document_key"],
            unreadable=int(stale["passing"].sum()),
            judged=judged,
            causes=self.causes,
            verdict=verdict,
            waived=pl.concat(self.waived) if self.waived else pl.DataFrame(schema=WAIVED),
        )


@stage
def validate(context: Context, suite: Suite, reading: Reading, decisions: Decisions = NO_DECISIONS) -> ValidationResult:
    """Judge what was read, slice by slice."""
    gathering = _Gathering(context.workspace.spill("accepted"))
    validator: Validator | None = None
    judged = 0
    for frame in reading.documents.slices():
        if validator is None:  # Great Expectations takes seconds to import: a night without news does without it
            validator = Validator(suite, context.now)
        waivers = decisions.letting_in(frame)
        # The quarantine names rows, since a repeated id has rows of its own.
        verdicts = validator.rows(frame.drop("key").rename({"row": "key"}), waivers)
        gathering.take(frame, verdicts, waivers)
        judged += frame.height
        context.progress.advance(judged, reading.documents.rows, "documents")
    return gathering.result(judged, None if validator is None else validator.verdict())


def _cause() -> pl.Expr:
    """Why an accepted document has to be written."""
    return (
        pl.when(pl.col("old_content").is_null())
        .then(pl.lit("new"))
        .when(pl.col("old_content") != pl.col("content_hash"))
        .then(pl.lit("content"))
        .when(pl.col("old_record") != pl.col("record_hash"))
        .then(pl.lit("metadata"))
        .otherwise(pl.lit("rules"))
        .alias("cause")
    )


def _waived(frame: pl.DataFrame, waived: pl.DataFrame, waivers: Mapping[tuple[str, str], Waiver]) -> pl.DataFrame:
    """Put what was waived beside who waived it, and the content that it is bound to from now on."""
    used = [waivers[key, rule] for key, rule in waived.select("key", "rule").iter_rows()]
    hashes = {row: content_of(*both) for row, *both in frame.select("row", "content_hash", "record_hash").iter_rows()}
    return waived.with_columns(
        pl.Series("waiver", [each.waiver for each in used], dtype=pl.String),
        pl.Series("told", [each.told for each in used], dtype=pl.String),
        pl.Series("content", [hashes[key] for key in waived["key"]], dtype=pl.String),
    ).select(list(WAIVED))


def _refused(frame: pl.DataFrame, refusals: pl.DataFrame) -> pl.DataFrame:
    """Put refused rows beside their reasons, with the fate of the document that the release holds."""
    reasons = refusals.select(
        pl.col("key").alias("row"), "rule", pl.col("rule_version").cast(pl.String), "reason", "defect"
    )
    # A second row of an id is refused by itself: the release's version is of the first.
    held = pl.col("old_content").is_not_null() & (pl.col("occurrence") == 1)
    # Where it is the very version that the release holds, that version has the defect too: no good one is left.
    another = pl.col("problem").is_not_null() | (pl.col("revision") != pl.col("old_revision"))
    broken = pl.col("defect") & ~forbidden()
    fate = pl.when(held).then(pl.when(broken & another).then(pl.lit("stale")).otherwise(pl.lit("unwanted")))
    # Left, one to one: `refusals` has exactly one row for each refused row, and the frame's order is kept.
    return (
        frame.join(reasons, on="row", how="left", maintain_order="left")
        .with_columns(
            pl.col("id").alias("document"),
            pl.col("key").alias("document_key"),
            pl.col("row").alias("key"),
            pl.col("text").str.slice(0, EXCERPT).alias("excerpt"),
            fate.alias("fate"),
            broken.alias("defect"),
        )
        .select(*REFUSED, *FATES)
    )
