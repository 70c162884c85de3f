"""Keep what was refused, with its reasons, and tell since when an earlier version stands in for it."""

from __future__ import annotations

import polars as pl

from storage.tables.quarantine import Quarantine
from storage.tables.waivers import Waivers
from tasks.context import Context
from tasks.curate.deduplicate import DeduplicationResult
from tasks.curate.validate import REFUSED, ValidationResult
from tasks.ingest.plan import SOURCE_BROKEN, Plan
from tasks.ingest.read import Reading

__all__ = ["quarantine", "settle"]


def quarantine(context: Context, plan: Plan, validated: ValidationResult) -> None:
    """Take in what this run refuses, also when it ends without a release.

    One write for both kinds: a broken row that were here without the documents that it hides would be an old one to the
    next run, which would let the documents go.
    """
    rows = pl.concat([validated.refused, _kept(context, plan)])
    Quarantine(context.store).refuse(rows, context.run, context.now)
    # Only now is it known what a waiver lets in: from here on a file that is touched keeps it, and one that is edited
    # loses it.
    if validated.waived.height:
        Waivers(context.store).bind(dict(validated.waived.select("waiver", "content").iter_rows()))


def settle(
    context: Context, reading: Reading, plan: Plan, validated: ValidationResult, deduplicated: DeduplicationResult
) -> None:
    """Un-quarantine documents that were accepted or deleted, and write since when the others are stale.

    Runs after the gate: an empty source must not empty the quarantine, and what goes stale in a run that waits for
    approval must be asked for again by the next.
    """
    table = Quarantine(context.store)
    held = table.held().select("key", "stale_since")
    # What was refused now or before, what is kept for a broken source, and what nobody could look at tonight.
    decided = pl.concat([validated.refused["key"], plan.held["row"], plan.kept["key"]]).to_frame("key")
    stay = pl.concat([decided["key"], reading.missing]).to_frame("key")
    # Rows of none of those. Anti: each was accepted, deleted, or left out of the configuration.
    table.release(held.join(stay, on="key", how="anti")["key"])
    # Semi with `decided`: of a row that nobody could look at tonight nothing new is known. Left, from the rows that
    # stay: one that is not stale (its earlier version is gone, or never was) is written null.
    since = pl.col("stale_since").fill_null(pl.lit(context.now, pl.Datetime("us", "UTC")))
    stale = deduplicated.stale.select("key", since.alias("now"))
    marks = held.join(decided, on="key", how="semi").join(stale, on="key", how="left")
    changed = marks.filter(pl.col("now").ne_missing(pl.col("stale_since")))
    table.mark(changed.select("key", pl.col("now").alias("stale_since")))


def _kept(context: Context, plan: Plan) -> pl.DataFrame:
    """Rows for documents that a broken source lists no more; those that are here already stay as they are.

    They have no revision: whatever the source lists under their id again is read.
    """
    fresh = plan.kept.filter(~pl.col("held"))
    now = dict(context.rules_fingerprints)
    judged = pl.col("source").replace_strict(now, default=None, return_dtype=pl.String)
    reason = pl.format(
        "is not listed any more while its source has broken rows, in which it may be ({}): mend them, or let it go "
        "with `tidemark refresh --accept-deletions`",
        pl.col("problem"),
    )
    return fresh.select(
        "key",
        "source",
        pl.col("id").alias("document"),
        pl.lit(None, pl.String).alias("revision"),
        pl.lit(SOURCE_BROKEN).alias("rule"),
        pl.lit("1").alias("rule_version"),
        reason.alias("reason"),
        judged.alias("judged"),
        pl.lit("").alias("excerpt"),
        pl.lit(value=True).alias("defect"),
    ).select(list(REFUSED))
