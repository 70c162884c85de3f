"""Count what a run found: every document and every chunk once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from storage.tables.roles import chunks_table
from tasks.build.chunk import ChunkChanges
from tasks.build.embed import Pending
from tasks.context import Context
from tasks.curate.deduplicate import DeduplicationResult
from tasks.curate.validate import ValidationResult
from tasks.ingest.plan import Plan
from tasks.ingest.read import Reading
from tasks.ingest.scan import Scan

__all__ = ["Preparation", "causes", "stale_note", "tally", "time_note"]


@dataclass(frozen=True)
class Preparation:
    """Everything that is decided before the store is written to; a plan is this and no more."""

    scan: Scan
    plan: Plan
    reading: Reading
    validated: ValidationResult
    deduplicated: DeduplicationResult
    changes: ChunkChanges
    pending: Pending

    @property
    def publishes(self) -> bool:
        """Whether the next release would differ from the base for anybody who reads it."""
        return bool(
            self.changes.rechunks_all
            or self.validated.accepted.rows
            or self.plan.gone.height
            or self.deduplicated.refused.height
            or self.changes.changes
        )

    @cached_property
    def indexed(self) -> pl.DataFrame:
        """Keys of the documents that are in the index afterwards: all but the duplicates."""
        return self.deduplicated.after.filter(pl.col("duplicate_of").is_null()).select("key")

    @cached_property
    def fates(self) -> tuple[dict[str, int], int]:
        """Of the indexed documents, why they were accepted now, how many a cause; and how many of them moved."""
        schema = {"key": pl.String, "cause": pl.String}
        # Inner: of the indexed documents those that were accepted now, of the accepted those that are no duplicates.
        found = self.indexed.join(self.validated.accepted.frame(list(schema), dict(schema)), on="key", how="inner")
        # Semi, for the same reason: a document that moved and now duplicates another is counted as a duplicate.
        moved = self.indexed.join(self.deduplicated.moved, on="key", how="semi").height
        return dict(found.group_by("cause").len().sort("cause").iter_rows()), moved


def tally(context: Context, done: Preparation) -> dict[str, int]:
    """Count documents and chunks, and what sources left out (`passed_over`), which is in no other count.

    documents = added + changed + moved + unchanged + duplicates + quarantined, where the first four are indexed, and
    chunks = embedded + reused.

    `documents` is what was listed, less what was gone before it could be read, and what is kept although its source,
    broken in part, lists it no more (`unlisted`): counted apart from the others, so that the audit can compare. A
    document whose last version stands in (`stale`, with the unlisted ones among them) is counted where that version is,
    among the unchanged or the duplicates, and so are `touched` and `unreadable` ones; its broken row is counted nowhere
    else, while a broken row of no known document is quarantined.
    """
    ledger = context.ledger()
    after = done.deduplicated.after
    indexed, (found, moved) = done.indexed, done.fates
    unlisted = done.plan.kept.height
    stale = done.deduplicated.stale.height
    # Rows in quarantine, less those of documents of which the index has a version: one row, one place.
    quarantined = done.validated.refused.height + done.plan.held.height - (stale - unlisted)
    added = found.get("new", 0) - moved
    changed = found.get("content", 0) + found.get("metadata", 0)
    written = done.changes.upserts.rows
    stay = 0 if done.changes.rechunks_all else int(ledger["n_chunks"].sum() or 0) - _outdated(ledger, done.changes)
    embedded = done.pending.contents
    return {
        "documents": done.scan.listed.height - done.reading.absent + unlisted,
        "added": added,
        "changed": changed,
        "moved": moved,
        "deleted": done.deduplicated.deleted.height,
        "unchanged": indexed.height - added - changed - moved,
        "quarantined": quarantined,
        "duplicates": after.height - indexed.height,
        "chunks": written + stay,
        "embedded": embedded,
        "reused": written + stay - embedded,
        "touched": done.reading.touched.height,
        "unreadable": done.validated.unreadable,
        "stale": stale,
        "unlisted": unlisted,
        "flagged": sum(done.validated.flagged.values()),
        "redacted": done.reading.counts["redacted"],
        "untimed": done.reading.untimed,
        "passed_over": sum(sum(counts.values()) for counts in done.scan.passed_over.values()),
        "tokens": done.pending.tokens,
    }


def _outdated(ledger: pl.DataFrame, changes: ChunkChanges) -> int:
    # Ledger rows of documents all of whose chunks go; those of the others are deleted one by one, in `outdated`.
    dropped = ledger.join(changes.dropped.to_frame("key"), on="key", how="semi")
    return changes.outdated.rows + int(dropped["n_chunks"].sum() or 0)


def causes(context: Context, done: Preparation) -> dict[str, int]:
    """Say why there is work: documents a cause, and those written anew for another encoder, chunker or precision.

    A document that duplicates another is told as that alone, and a new one that moved both as new and as moved.
    """
    causes, moved = done.fates
    found = dict(causes)
    base = context.base
    if base is not None and done.changes.rechunks_all:
        name = "chunker"
        if done.changes.table not in base.tables:
            own = chunks_table(base.space, done.changes.precision) == done.changes.table
            name = "encoder" if not own else "precision" if base.text.bridge is None else "bridge"
        cut = done.changes.cut()
        if not context.rebuild:
            # Anti: a document that came or changed tonight is told once, as that.
            accepted = done.validated.accepted.frame(["key"], {"key": pl.String})
            cut = cut.join(accepted, on="key", how="anti")
        found["rebuild" if context.rebuild else name] = cut.height
    extra = {
        "moved": moved,
        "deleted": done.deduplicated.deleted.height,
        "stale": done.deduplicated.stale.height,
        "refused": done.validated.refused.height - len(done.validated.stale),
        "held": done.plan.held.filter(~pl.col("stays")).height,
        "duplicate": done.deduplicated.after["duplicate_of"].count(),
        "moved-chunks": done.changes.moved_rows,
    }
    return found | {name: count for name, count in extra.items() if count}


def stale_note(counts: Mapping[str, int]) -> str:
    """The end of a run's message where documents are stale, else nothing."""
    stale = counts.get("stale", 0)
    if not stale:
        return ""
    what = (
        "1 document is stale: its last version stays"
        if stale == 1
        else f"{stale:,} documents are stale: their last versions stay"
    )
    return f"; {what} until the source is mended (`tidemark quarantine list`)"


def time_note(counts: Mapping[str, int]) -> str:
    """The end of a run's message where times could not be read, else nothing."""
    untimed = counts.get("untimed", 0)
    if not untimed:
        return ""
    what = "1 document read tonight has a time" if untimed == 1 else f"{untimed:,} documents read tonight have times"
    return f"; {what} that cannot be read, and none therefore (the log names the first; set time_format)"
