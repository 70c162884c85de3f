"""Limits that a run must keep before anything is embedded or published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from models.encoder import EncoderFolder
from storage.errors import NeedsApproval, Refused
from storage.tables.releases import Release
from tasks.build.embed import Pending
from tasks.context import Context
from tasks.curate.deduplicate import DeduplicationResult
from tasks.curate.validate import ValidationResult
from tasks.ingest.plan import Plan
from tasks.ingest.scan import Scan
from tasks.stage import stage

__all__ = ["LimitsConfig", "Verdict", "encoder_change", "gate", "losses", "shrinkage"]

DIGESTS = {"weights": "weights", "tokenizer": "tokenizer", "network": "modules"}
SETTINGS = ("dimension", "window", "pooling", "normalise", "query_prompt", "document_prompt")


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


@dataclass(frozen=True)
class Verdict:
    """What a gate says.

    Attributes:
        outcome: `pass`, `needs-approval` or `refused`.
        reasons: Why, one line each.
    """

    outcome: Literal["pass", "needs-approval", "refused"]
    reasons: tuple[str, ...] = ()

    def enforce(self) -> None:
        """Raise what the verdict means for the run.

        Raises:
            NeedsApproval: A source lost too much, or the encoder is another.
            Refused: A limit was passed.
        """
        if self.outcome == "refused":
            raise Refused("; ".join(self.reasons))
        if self.outcome == "needs-approval":
            raise NeedsApproval("; ".join(self.reasons))


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


def encoder_change(base: Release | None, encoder: EncoderFolder, pending: Pending) -> list[str]:
    """Say so where the run has another encoder than the release before: by both names, and what it costs.

    The same space is the same encoder, wherever its files came from.

    Args:
        base: The release before; its text role is what the run would replace.
        encoder: The encoder of the run.
        pending: Contents that have no vector in its space.
    """
    if base is None or base.text.space == encoder.space.id:
        return []
    before, space = base.text.encoder, encoder.space
    release = f"release {base.seq}" + ("" if base.restored is None else f" (a rollback to {base.restored})")
    if before.name != space.name:
        was = _called(before.name or f"of space {before.id}", before.revision)
        told = f"{_called(space.name, encoder.revision)}, but {release} has encoder {was}"
    elif before.revision and encoder.revision and before.revision != encoder.revision:
        told = f"{_called(space.name, encoder.revision)}, was at {before.revision[:8]} in {release}"
    else:
        told = (
            f"{_called(space.name, encoder.revision)} is not what it was in {release} ({_differences(base, encoder)})"
        )
    reasons = [f"encoder: {told}; {pending.missing.height:,} chunks ({pending.tokens:,} tokens) to embed"]
    if space.stub and not before.stub:
        reasons.append(f"the vectors of {space.name!r} are fake: they know words, not meaning")
    return reasons


def _called(name: str, revision: str | None) -> str:
    return name if revision is None else f"{name} at {revision[:8]}"


def _differences(base: Release, encoder: EncoderFolder) -> str:
    """Name what makes two encoders of one name differ."""
    before, now = base.text.encoder, encoder.space
    parts = [f"other {word}" for name, word in DIGESTS.items() if getattr(before, name) != getattr(now, name)]
    for name in SETTINGS:
        if getattr(before, name) != getattr(now, name):
            parts.append(f"{name} {getattr(now, name)!r} instead of {getattr(before, name)!r}")
    return ", ".join(parts) or "another identity"


@stage
def gate(
    context: Context,
    encoder: EncoderFolder,
    limits: LimitsConfig,
    scan: Scan,
    plan: Plan,
    validated: ValidationResult,
    deduplicated: DeduplicationResult,
    pending: Pending,
    *,
    accept_deletions: bool = False,
    accept_encoder: bool = False,
) -> Verdict:
    """Judge the run as a whole: refused documents, expectations on the batch, mass deletions, another encoder."""
    if validated.verdict is not None and not validated.verdict.ok:
        return Verdict("refused", tuple(validated.verdict.failures))
    refused = validated.refused.height + plan.held.height
    listed = scan.listed.height
    if refused > limits.refused_floor and refused > limits.max_refused_share * listed:
        return Verdict(
            "refused",
            (
                f"{refused:,} of {listed:,} documents were refused ({refused / listed:.0%}; allowed "
                f"{limits.max_refused_share:.0%}): see `tidemark quarantine list`; mend the source or the rules, or "
                "raise limits.max_refused_share",
            ),
        )
    lost = []
    if not accept_deletions:
        if context.rebuild:
            lost = shrinkage(context.base, deduplicated.after.height, limits.max_lost_share)
        else:
            lost = losses(context.ledger(), deduplicated.deleted, scan.counts, limits.max_lost_share)
    changed = [] if accept_encoder else encoder_change(context.base, encoder, pending)
    if not lost and not changed:
        return Verdict("pass")
    # An approval that was given already stays in the command: without it the next run would wait for that one.
    approved = {"--accept-deletions": lost or accept_deletions, "--accept-encoder": changed or accept_encoder}
    rebuild = " --rebuild" if context.rebuild else ""
    command = " ".join([f"tidemark refresh{rebuild}", *(option for option, given in approved.items() if given)])
    hint = f"if that is right, run `{command}`; `tidemark plan{rebuild}` shows what would change"
    return Verdict("needs-approval", (*lost, *changed, hint))
