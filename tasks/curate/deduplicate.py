"""Find documents with equal content: one of them is indexed, the others point to it."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from tasks.context import Context
from tasks.curate.validate import ValidationResult
from tasks.ingest.plan import Plan
from tasks.stage import stage

__all__ = ["DeduplicationResult", "deduplicate", "find_duplicates"]

STATE = {"key": pl.String, "source": pl.String, "id": pl.String, "content_hash": pl.String}


@dataclass(frozen=True)
class DeduplicationResult:
    """What each document will be in the next release.

    Attributes:
        after: key, source, id, content_hash and duplicate_of (null for the indexed one) of every document.
        moved: Keys of new documents whose content stood under another id that is gone (`moved_from`).
        deleted: Keys of documents that are gone and not moved.
        refused: Keys of documents that the release held and whose new content was refused.
    """

    after: pl.DataFrame
    moved: pl.DataFrame
    deleted: pl.DataFrame
    refused: pl.Series

    @property
    def counts(self) -> dict[str, int]:
        """Documents a group."""
        return {
            "documents": self.after.height,
            "duplicates": self.after["duplicate_of"].count(),
            "moved": self.moved.height,
            "deleted": self.deleted.height,
        }


def find_duplicates(documents: pl.DataFrame) -> pl.DataFrame:
    """Say which documents duplicate which.

    Of equal documents the one with the smallest (source, id) is indexed. The rule looks at what is there, not at when
    it came, so that a history of changes and a rebuild from scratch give the same table.

    Args:
        documents: key, source, id, content_hash; keys unique.

    Returns:
        The same rows with `duplicate_of`: the key of the indexed document, null for itself.
    """
    first = (
        documents.sort("source", "id")
        .unique("content_hash", keep="first", maintain_order=True)
        .select("content_hash", pl.col("key").alias("first"))
    )
    joined = documents.join(first, on="content_hash", how="left", maintain_order="left")
    other = pl.when(pl.col("first") != pl.col("key")).then(pl.col("first"))
    return joined.with_columns(other.alias("duplicate_of")).drop("first")


def moves(fresh: pl.DataFrame, gone: pl.DataFrame) -> pl.DataFrame:
    """Pair new documents with gone ones of the same source and content, one to one.

    Args:
        fresh: key, source, id, content_hash of documents that the ledger does not know.
        gone: The same of documents that are listed no more.

    Returns:
        key and moved_from.
    """
    pair = ["source", "content_hash"]

    def numbered(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.sort("id").with_columns(pl.int_range(pl.len()).over(pair).alias("n"))

    return (
        numbered(fresh)
        .join(numbered(gone).select(*pair, "n", pl.col("key").alias("moved_from")), on=[*pair, "n"], how="inner")
        .select("key", "moved_from")
    )


@stage
def deduplicate(context: Context, plan: Plan, validated: ValidationResult) -> DeduplicationResult:
    """Apply the run's changes to the ledger and find the duplicates in the result."""
    ledger = context.ledger().select(*STATE, "duplicate_of")
    accepted = validated.accepted.frame(list(STATE), dict(STATE))
    # A rollback can bring back what was accepted before the content that is held now: that goes again.
    unwanted = pl.concat([validated.refused_keys, plan.held["row"]]).to_frame("key")
    refused = ledger.join(unwanted, on="key", how="semi")["key"]
    stay = (
        ledger.join(plan.gone, on="key", how="anti", maintain_order="left")
        .join(pl.DataFrame({"key": refused}), on="key", how="anti", maintain_order="left")
        .join(accepted, on="key", how="anti", maintain_order="left")
    )
    fresh = accepted.join(ledger, on="key", how="anti", maintain_order="left")
    moved = moves(fresh, plan.gone)
    deleted = plan.gone.join(moved, left_on="key", right_on="moved_from", how="anti", maintain_order="left")
    after = find_duplicates(pl.concat([stay.select(list(STATE)), accepted]))
    return DeduplicationResult(after, moved, deleted, refused)
