"""Decide which documents must be read: fingerprints compared, nothing opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from storage.tables.quarantine import Quarantine
from tasks.context import Context
from tasks.ingest.scan import Scan
from tasks.stage import stage

__all__ = ["Plan", "classify", "plan"]


@dataclass(frozen=True)
class Plan:
    """What the listing says against the ledger of the base release.

    Attributes:
        candidates: Rows to read, LISTED columns and `cause`: `new`, `revision` or `rules`.
        same: How many rows are surely what the release holds.
        held: Rows that stay in quarantine: same content, same rules.
        gone: Ledger rows whose document is listed no more.
    """

    candidates: pl.DataFrame
    same: int
    held: pl.DataFrame
    gone: pl.DataFrame

    @property
    def counts(self) -> dict[str, int]:
        """Rows a group."""
        return {
            "candidates": self.candidates.height,
            "same": self.same,
            "held": self.held.height,
            "gone": self.gone.height,
        }


def classify(listed: pl.DataFrame, ledger: pl.DataFrame, quarantined: pl.DataFrame, judged: Mapping[str, str]) -> Plan:
    """Compare a listing with the ledger and the quarantine.

    Args:
        listed: LISTED columns.
        ledger: LEDGER columns of the base release.
        quarantined: key, revision, rule and judged of what is refused now.
        judged: Source to the fingerprint of its normaliser and rules.
    """
    rules = pl.DataFrame(
        {"source": list(judged), "now": list(judged.values())}, schema={"source": pl.String, "now": pl.String}
    )
    known = ledger.select("key", pl.col("revision").alias("was"), pl.col("judged").alias("by"))
    refused = quarantined.select(
        pl.col("key").alias("row"), pl.col("revision").alias("held"), pl.col("judged").alias("held_by"), "rule"
    )
    frame = (
        listed.join(rules, on="source", how="left", maintain_order="left")
        .join(known, left_on="row", right_on="key", how="left", maintain_order="left")
        .join(refused, on="row", how="left", maintain_order="left")
    )
    # What could not be read is tried again each night; what was refused only when the row or the rules changed.
    unread = (pl.col("rule") == "readable") & pl.col("problem").is_null()
    held = (pl.col("held") == pl.col("revision")) & (pl.col("held_by") == pl.col("now")) & ~unread
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
    frame = frame.with_columns(cause.alias("cause"))
    columns = [*listed.columns, "cause"]
    held_rows = frame.filter(pl.col("cause") == "held").select(columns)
    return Plan(
        candidates=frame.filter(pl.col("cause").is_in(["new", "revision", "rules"])).select(columns),
        same=frame.filter(pl.col("cause").is_null()).height,
        held=held_rows,
        gone=ledger.join(listed, on="key", how="anti", maintain_order="left"),
    )


@stage
def plan(context: Context, scan: Scan) -> Plan:
    """Classify the run's listing."""
    return classify(scan.listed, context.ledger(), Quarantine(context.store).held(), context.judged)
