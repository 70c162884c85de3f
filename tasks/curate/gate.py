"""Limits that a run must keep before anything is embedded or published."""

from __future__ import annotations

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from storage.outcome import Outcome
from storage.tables.releases import Release
from tasks.context import Context
from tasks.curate.deduplicate import DeduplicationResult
from tasks.curate.validate import ValidationResult
from tasks.ingest.plan import Plan
from tasks.ingest.scan import Scan
from tasks.stage import stage
from tasks.verdict import Verdict

__all__ = ["LimitsConfig", "gate", "losses", "shrinkage"]


class LimitsConfig(BaseModel):
    """What stops a run before it publishes: section `[limits]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_lost_share: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="A source that loses a larger share of its documents stops the run for approval.",
    )
    max_refused_share: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="A larger share of refused documents, of all that are listed, stops the run.",
    )
    refused_floor: int = Field(
        default=10, ge=0, description="Refused documents that never stop a run, whatever their share."
    )


def losses(ledger: pl.DataFrame, lost: pl.DataFrame, listed: dict[str, int], share: float) -> list[str]:
    """Name the sources that lost more than a share of their documents, or everything.

    Args:
        ledger: `source` of each document of the base release.
        lost: `source` of each document that is gone and not moved.
        listed: Source to the number of items that it lists now.
        share: Share that a source may lose unasked.
    """
    before = dict(ledger.group_by("source").len().iter_rows())
    gone = dict(lost.group_by("source").len().iter_rows())
    reasons = []
    for source in sorted(gone):
        if gone[source] > share * before[source] or not listed.get(source):
            now = f"lists {listed[source]:,} now" if source in listed else "is not configured any more"
            reasons.append(
                f"source {source!r} lost {gone[source]:,} of its {before[source]:,} documents "
                f"({gone[source] / before[source]:.0%}; allowed {share:.0%}) and {now}"
            )
    return reasons


def shrinkage(base: Release | None, documents: int, share: float) -> list[str]:
    """Say so where a rebuild would hold far fewer documents than the release before; it does not ask its tables.

    Args:
        base: The release before.
        documents: How many the rebuild would hold.
        share: Share that may be lost unasked.
    """
    if base is None:
        return []
    counts = base.counts
    before = counts.get("documents", 0) - counts.get("quarantined", 0)
    if before - documents <= share * before:
        return []
    return [f"the rebuild would hold {documents:,} documents where release {base.seq} holds {before:,}"]


@stage
def gate(
    context: Context,
    limits: LimitsConfig,
    scan: Scan,
    plan: Plan,
    validated: ValidationResult,
    deduplicated: DeduplicationResult,
    accept_deletions: bool,
) -> Verdict:
    """Judge the run as a whole: mass deletions, refused documents, expectations on the batch."""
    if validated.verdict is not None and not validated.verdict.ok:
        return Verdict(Outcome.REFUSED, tuple(validated.verdict.failures))
    refused = validated.refused.height + plan.held.height
    listed = scan.listed.height
    if refused > limits.refused_floor and refused > limits.max_refused_share * listed:
        return Verdict(
            Outcome.REFUSED,
            (
                f"{refused:,} of {listed:,} documents were refused ({refused / listed:.0%}; allowed "
                f"{limits.max_refused_share:.0%}): see `tidemark quarantine list`; mend the source or the rules, or "
                "raise limits.max_refused_share",
            ),
        )
    if not accept_deletions:
        if context.afresh:
            reasons = shrinkage(context.base, deduplicated.after.height, limits.max_lost_share)
        else:
            reasons = losses(context.ledger(), deduplicated.deleted, scan.counts, limits.max_lost_share)
        if reasons:
            option = " --rebuild" if context.afresh else ""
            hint = (
                f"if that is right, run `tidemark refresh{option} --accept-deletions`; `tidemark plan{option}` shows "
                "what would go"
            )
            return Verdict(Outcome.NEEDS_APPROVAL, (*reasons, hint))
    return Verdict(Outcome.PASSED)
