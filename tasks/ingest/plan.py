"""Decide which documents must be read, and which unlisted ones are gone: fingerprints compared, nothing opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from storage.sources.base import FORBIDDEN
from storage.tables.quarantine import Quarantine
from tasks.context import Context
from tasks.curate.decisions import NO_DECISIONS, Decisions
from tasks.curate.validation.rules import DEFECTS
from tasks.ingest.scan import Scan
from tasks.stage import stage

__all__ = ["KEPT", "SOURCE_BROKEN", "Plan", "classify", "forbidden", "plan"]

SOURCE_BROKEN = "source-broken"  # the rule that a document is held by which its broken source lists no more
READABLE = "readable"
KEPT = {
    "key": pl.String,
    "source": pl.String,
    "id": pl.String,
    "held": pl.Boolean,  # whether the quarantine has a row of it already
    "problem": pl.String,  # what the source's first broken row says of itself
}


@dataclass(frozen=True)
class Plan:
    """What the listing says against the ledger of the base release.

    Attributes:
        candidates: Rows to read, LISTED columns and `cause`: `new`, `revision` or `rules`.
        same: How many rows are surely what the release holds.
        held: Rows that stay in quarantine, same content and same rules: LISTED columns, `cause`, and `stays`: whether
            the release's version of the document stays, since what is wrong with the row is a defect.
        gone: Ledger rows whose document is listed no more.
        kept: Documents that are listed no more and stay, since their source is broken in part: KEPT columns.
        stale_since: key and stale_since of documents that were stale before this run.
    """

    candidates: pl.DataFrame
    same: int
    held: pl.DataFrame
    gone: pl.DataFrame
    kept: pl.DataFrame
    stale_since: pl.DataFrame

    @property
    def counts(self) -> dict[str, int]:
        """Rows a group."""
        return {
            "candidates": self.candidates.height,
            "same": self.same,
            "held": self.held.height,
            "gone": self.gone.height,
            "kept": self.kept.height,
        }


def classify(
    listed: pl.DataFrame,
    ledger: pl.DataFrame,
    quarantined: pl.DataFrame,
    rules_fingerprints: Mapping[str, str],
    *,
    keep: bool = True,
    decisions: Decisions = NO_DECISIONS,
) -> Plan:
    """Compare a listing with the ledger and the quarantine.

    Args:
        listed: LISTED columns.
        ledger: LEDGER columns of the base release.
        quarantined: `storage.tables.quarantine.HELD` columns of what is refused now.
        rules_fingerprints: Source to the fingerprint of its normaliser and rules; the column `judged` of ledger and
            quarantine holds the one that a row was judged by.
        keep: Keep what a source that is broken in part lists no more, instead of counting it as gone.
        decisions: What people decided of refused documents.
    """
    quarantined = _completed(quarantined)
    frame = _compared(listed, ledger, quarantined, rules_fingerprints, decisions)
    columns = [*listed.columns, "cause"]
    # Ledger rows without a listed row of their key. Anti, on the key and not on the row: a document is there as long as
    # any row of its id is.
    unlisted = ledger.join(listed, on="key", how="anti", maintain_order="left")
    kept = _kept(unlisted, listed, ledger, quarantined) if keep else pl.DataFrame(schema=KEPT)
    # Stale before: what the quarantine says of documents that the base release holds. A rollback may have taken the
    # version away that stood in, hence semi: then nothing stands in any more.
    before = quarantined.filter(pl.col("stale_since").is_not_null()).join(ledger, on="key", how="semi")
    return Plan(
        candidates=frame.filter(pl.col("cause").is_in(["new", "revision", "rules"])).select(columns),
        same=frame.filter(pl.col("cause").is_null()).height,
        held=frame.filter(pl.col("cause") == "held").select(*columns, "stays"),
        # What is kept is not gone: anti takes it out, so that nothing later deletes it or pairs it with a moved one.
        gone=unlisted.join(kept, on="key", how="anti", maintain_order="left"),
        kept=kept,
        stale_since=before.select("key", "stale_since"),
    )


def _completed(quarantined: pl.DataFrame) -> pl.DataFrame:
    """Fill in what rows of before these columns lack.

    They were refused under default rules, of which the name says whether they find defects. Where one of those rows is
    of a document that the release holds, its version has stood in since the row was first seen.
    """
    unknown = pl.col("defect").is_null()
    defect = pl.col("defect").fill_null(pl.col("rule").is_in(list(DEFECTS)))
    since = pl.when(unknown & defect).then(pl.coalesce("stale_since", "first_seen")).otherwise(pl.col("stale_since"))
    return quarantined.with_columns(defect.alias("defect"), since.alias("stale_since"))


def _compared(
    listed: pl.DataFrame,
    ledger: pl.DataFrame,
    quarantined: pl.DataFrame,
    rules_fingerprints: Mapping[str, str],
    decisions: Decisions,
) -> pl.DataFrame:
    """Give every listed row the `cause` that it must be read for, `held`, or null where the release holds it."""
    rules = pl.DataFrame(
        {"source": list(rules_fingerprints), "now": list(rules_fingerprints.values())},
        schema={"source": pl.String, "now": pl.String},
    )
    known = ledger.select("key", pl.col("revision").alias("was"), pl.col("judged").alias("by"))
    # Left: hardly any refused row was asked for again.
    asked = quarantined.join(decisions.retries, on="key", how="left", maintain_order="left")
    refused = asked.filter(pl.col("rule") != SOURCE_BROKEN).select(
        pl.col("key").alias("row"),
        pl.col("revision").alias("held"),
        pl.col("judged").alias("held_by"),
        "rule",
        "defect",
        # A run that tried it since then has met the request.
        (pl.col("since") > pl.col("last_seen")).fill_null(value=False).alias("again"),
    )
    # All three are left joins: every listed row has exactly one fate, whether or not release and quarantine know it.
    # The ledger is asked by the row and not by the key: a second row of an id is no document, and so never the same.
    frame = (
        listed.join(rules, on="source", how="left", maintain_order="left")
        .join(known, left_on="row", right_on="key", how="left", maintain_order="left")
        .join(refused, on="row", how="left", maintain_order="left")
    )
    frame = frame.with_columns(decisions.judged(frame["row"], frame["now"]))
    # What could not be read is tried again each night; what was refused only when the row or the rules changed.
    unread = (pl.col("rule") == READABLE) & pl.col("problem").is_null()
    held = (pl.col("held") == pl.col("revision")) & (pl.col("held_by") == pl.col("now")) & ~unread & ~pl.col("again")
    cause = (
        pl.when(held.fill_null(value=False))
        .then(pl.lit("held"))
        .when(pl.col("was").is_null())
        .then(pl.lit("new"))
        .when(pl.col("was") != pl.col("revision"))
        .then(pl.lit("revision"))
        .when(pl.col("by") != pl.col("now"))
        .then(pl.lit("rules"))
    )
    # A defect leaves the release's version where it is, unless that is the very version which is refused now.
    another = pl.col("problem").is_not_null() | (pl.col("was") != pl.col("revision"))
    stays = pl.col("defect") & pl.col("was").is_not_null() & another & ~forbidden()
    return frame.with_columns(cause.alias("cause"), stays.fill_null(value=False).alias("stays"))


def forbidden() -> pl.Expr:
    """Whether a listed row is one that its source must not have, so that no version of it may stay."""
    return pl.col("problem").str.starts_with(FORBIDDEN).fill_null(value=False)


def _kept(
    unlisted: pl.DataFrame, listed: pl.DataFrame, ledger: pl.DataFrame, quarantined: pl.DataFrame
) -> pl.DataFrame:
    """Find the unlisted documents that may be hidden in the broken rows of their source.

    A row that is torn has no id: the document that it held looks deleted. So a source that lists broken rows which it
    did not list before loses nothing that night, and what it kept then stays until no row of it is broken.
    """
    # What a source must not have hides nothing: it is told by its name.
    broken = listed.filter(pl.col("problem").is_not_null() & ~forbidden())
    # Broken rows of no known document. Anti on the key: a broken row whose document the ledger knows hides no other.
    nameless = broken.join(ledger, on="key", how="anti").group_by("source", "revision").len("now")
    before = quarantined.filter(pl.col("rule") != SOURCE_BROKEN).group_by("source", "revision").len("before")
    # Compared by content and number, not by the row's key, which has its line number in it: an old broken line that
    # moved is not new. Left: a content that the quarantine never saw has no `before`.
    fresh = nameless.join(before, on=["source", "revision"], how="left").filter(
        pl.col("now") > pl.col("before").fill_null(0)
    )
    waiting = quarantined.filter(pl.col("rule") == SOURCE_BROKEN).select("key", pl.lit(value=True).alias("held"))
    first = broken.group_by("source", maintain_order=True).agg(pl.col("problem").first())
    # Inner with `first`: only documents of sources that have a broken row. Left with `waiting`: those that are kept
    # already, and those that would go now.
    candidates = unlisted.join(first, on="source", how="inner", maintain_order="left").join(
        waiting, on="key", how="left", maintain_order="left"
    )
    stays = pl.col("held").fill_null(value=False) | pl.col("source").is_in(fresh["source"].unique().implode())
    return candidates.filter(stays).select(*("key", "source", "id"), pl.col("held").fill_null(value=False), "problem")


@stage
def plan(context: Context, scan: Scan, *, keep: bool = True, decisions: Decisions = NO_DECISIONS) -> Plan:
    """Classify the run's listing; without `keep`, what a broken source lists no more is gone."""
    quarantined = Quarantine(context.store).held()
    return classify(
        scan.listed, context.ledger(), quarantined, context.rules_fingerprints, keep=keep, decisions=decisions
    )
