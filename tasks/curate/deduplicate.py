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
PLACE = ["key", "source", "id"]


@dataclass(frozen=True)
class DeduplicationResult:
    """What each document will be in the next release.

    Attributes:
        after: key, source, id, content_hash and duplicate_of (null for the indexed one) of every document.
        moved: Keys of new documents whose content stood under another id that is gone (`moved_from`).
        deleted: Ledger rows of documents that are gone and not moved.
        refused: key, source, id of documents that the release held and whose new content a policy refused.
        stale: key, source, id of documents whose last good version stays, and `stale_since`: null for those that go
            stale with this run.
    """

    after: pl.DataFrame
    moved: pl.DataFrame
    deleted: pl.DataFrame
    refused: pl.DataFrame
    stale: pl.DataFrame

    @property
    def newly_stale(self) -> pl.DataFrame:
        """Of the stale documents, those that were not before."""
        return self.stale.filter(pl.col("stale_since").is_null())

    @property
    def counts(self) -> dict[str, int]:
        """Documents a group."""
        return {
            "documents": self.after.height,
            "duplicates": self.after["duplicate_of"].count(),
            "moved": self.moved.height,
            "deleted": self.deleted.height,
            "stale": self.stale.height,
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
    # `first` holds one row a content, and every document has a content: the left join keeps every document, and gives
    # it the one that is indexed for it.
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

    # Numbered on both sides, so that of three new and two gone documents with one content two pair up and one is new.
    # Inner: a new document without a partner has not moved, and a gone one without a partner is deleted.
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
    refused = _unwanted(ledger, plan, validated)
    # Ledger rows that are neither gone, nor unwanted, nor replaced by a new version: three times anti, on the key. What
    # is stale is in none of the three, so that it stays with its content and its place among its duplicates.
    stay = (
        ledger.join(plan.gone, on="key", how="anti", maintain_order="left")
        .join(refused, on="key", how="anti", maintain_order="left")
        .join(accepted, on="key", how="anti", maintain_order="left")
    )
    # Accepted documents that the ledger does not know: only they can have moved here from a place that is gone.
    fresh = accepted.join(ledger, on="key", how="anti", maintain_order="left")
    moved = moves(fresh, plan.gone)
    # What is gone, but for those whose content came back under another id.
    deleted = plan.gone.join(moved, left_on="key", right_on="moved_from", how="anti", maintain_order="left")
    after = find_duplicates(pl.concat([stay.select(list(STATE)), accepted]))
    return DeduplicationResult(after, moved, deleted, refused, _stale(ledger, plan, validated))


def _unwanted(ledger: pl.DataFrame, plan: Plan, validated: ValidationResult) -> pl.DataFrame:
    """Find the documents of the ledger that leave since a policy refuses what they are now.

    Semi: of what is refused only what the ledger has can leave. Of the held rows those count too: a rollback can bring
    back what was accepted before the content that is held now, and that goes again.
    """
    held = plan.held.filter(~pl.col("stays"))["row"]
    unwanted = pl.concat([validated.unwanted, held]).to_frame("key")
    return ledger.join(unwanted, on="key", how="semi", maintain_order="left").select(PLACE)


def _stale(ledger: pl.DataFrame, plan: Plan, validated: ValidationResult) -> pl.DataFrame:
    """Find the documents of the ledger whose version stands in for one that is broken or hidden.

    Semi: only where the ledger has a version does one stand in. Left with what was stale before: a document without a
    row there goes stale now.
    """
    held = plan.held.filter("stays")["row"]
    broken = pl.concat([validated.stale, held, plan.kept["key"]]).to_frame("key")
    found = ledger.join(broken, on="key", how="semi", maintain_order="left").select(PLACE)
    return found.join(plan.stale_since, on="key", how="left", maintain_order="left")
