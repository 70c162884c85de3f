"""Name every document that a run would change, as a plan shows it before anything is written."""

from __future__ import annotations

import polars as pl

from tasks.context import Context
from tasks.tally import Preparation

__all__ = ["CHANGED", "CHANGES", "named"]

# Refused or stale, deleted, changed, moved, added, a duplicate: what somebody may have to act on comes first, since the
# first of a long list alone are shown.
CHANGES = ("!", "-", "~", ">", "+", "=")
# Columns of what `named` gives.
CHANGED = dict.fromkeys(["change", "source", "document", "rule", "reason"], pl.String)
_FATE = dict.fromkeys(["key", "source", "id", "cause"], pl.String)


def named(context: Context, done: Preparation) -> pl.DataFrame:
    """Name what changes, each document once.

    Args:
        context: The run.
        done: What was decided.

    Returns:
        change, source, document, and where there is one rule and reason; by kind of change, source and name.
    """
    deduplicated, validated = done.deduplicated, done.validated
    fates = validated.accepted.frame(list(_FATE), _FATE)
    # Left: every accepted document has its row in `after`, which says whether another one stands for it.
    fates = fates.join(deduplicated.after.select("key", "duplicate_of"), on="key", how="left")
    parts = [
        _accepted(fates, context, done),
        _rows(deduplicated.deleted, "-", reason=pl.lit("gone from the source")),
        _refused(validated.refused, validated.stale),
        _unlisted(done),
    ]
    order = pl.col("change").cast(pl.Enum(CHANGES))
    return pl.concat(parts).sort(order, "source", "document")


def _accepted(fates: pl.DataFrame, context: Context, done: Preparation) -> pl.DataFrame:
    """What is taken in: of a moved document the place that it left, of a duplicate the one that stands for it."""
    place = [pl.col("key").alias("other"), pl.col("id").alias("from")]
    known = pl.concat([done.deduplicated.after.select(place), context.ledger().select(place)])
    known = known.unique("other", keep="first", maintain_order=True)
    # Left, twice: most documents neither moved nor repeat another. A document moves from one place, so no row doubles.
    rows = fates.join(done.deduplicated.moved, on="key", how="left").with_columns(
        pl.coalesce("duplicate_of", "moved_from").alias("other")
    )
    rows = rows.join(known, on="other", how="left")
    change = (
        pl.when(pl.col("duplicate_of").is_not_null())
        .then(pl.lit("="))
        .when(pl.col("moved_from").is_not_null())
        .then(pl.lit(">"))
        .when(pl.col("cause") == "new")
        .then(pl.lit("+"))
        .otherwise(pl.lit("~"))
    )
    reason = (
        pl.when(pl.col("duplicate_of").is_not_null())
        .then(pl.format("the same as {}", pl.col("from").fill_null("another")))
        .when(pl.col("moved_from").is_not_null())
        .then(pl.format("from {}", pl.col("from").fill_null("another place")))
        .when(pl.col("cause") != "new")
        .then(pl.col("cause"))
    )
    # Left: hardly any accepted document needs a waiver. One row a document, whatever the number of its waivers.
    waived = done.validated.waived.group_by("key").agg(pl.col("rule").first(), pl.col("told").first())
    rows = rows.join(waived, on="key", how="left")
    return _rows(rows, change, rule=pl.col("rule"), reason=pl.coalesce("told", reason))


def _refused(refused: pl.DataFrame, stale: pl.Series) -> pl.DataFrame:
    """What a rule refuses tonight; of what has a defect the last version stays."""
    stays = pl.col("key").is_in(stale.implode())
    said = pl.when(stays).then(pl.format("{} (the last version stays)", "reason")).otherwise(pl.col("reason"))
    rows = refused.with_columns(said.alias("reason"))
    return _rows(rows, "!", document="document", rule=pl.col("rule"), reason=pl.col("reason"))


def _unlisted(done: Preparation) -> pl.DataFrame:
    """What a source that is broken in part lists no more, and that goes stale tonight."""
    # Semi and anti, on the key: of what goes stale now that which no row of the quarantine names already.
    rows = done.deduplicated.newly_stale.join(done.validated.refused.select("key"), on="key", how="anti")
    rows = rows.join(done.plan.kept.select("key"), on="key", how="semi")
    return _rows(rows, "!", reason=pl.lit("not listed by a source that is broken in part (the last version stays)"))


def _rows(
    frame: pl.DataFrame,
    change: str | pl.Expr,
    *,
    document: str = "id",
    rule: pl.Expr | None = None,
    reason: pl.Expr,
) -> pl.DataFrame:
    said = pl.lit(change) if isinstance(change, str) else change
    return frame.select(
        said.alias("change"),
        "source",
        pl.col(document).alias("document"),
        (pl.lit(None) if rule is None else rule).cast(pl.String).alias("rule"),
        reason.cast(pl.String).alias("reason"),
    )
