"""Limits that a run must keep before anything is embedded or published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

import polars as pl

from models.encoder import EncoderFolder
from storage.counts import plural
from storage.outcome import Outcome
from storage.tables.releases import Release, Releases
from tasks.build.embed import Pending
from tasks.context import Context
from tasks.curate.config import LimitsConfig
from tasks.curate.deduplicate import DeduplicationResult
from tasks.curate.validate import ValidationResult
from tasks.curate.validation.rules import shorten
from tasks.ingest.passed import passed_words
from tasks.ingest.plan import Plan
from tasks.ingest.scan import Scan
from tasks.stage import stage
from tasks.verdict import Verdict

__all__ = ["Approvals", "LimitsConfig", "emptiness", "encoder_change", "gate", "losses", "shrinkage", "staleness"]

DIGESTS = {"weights": "weights", "tokenizer": "tokenizer", "network": "modules"}
SETTINGS = ("dimension", "window", "pooling", "normalise", "query_prompt", "document_prompt")
NAMED = 3  # documents that a reason names


class Approvals(TypedDict, total=False):
    """What a person approved of beforehand: the options of a refresh by their names."""

    accept_deletions: bool
    accept_stale: bool
    accept_encoder: bool
    accept_empty: bool


def losses(ledger: pl.DataFrame, lost: pl.DataFrame, listed: Mapping[str, int], share: float) -> list[str]:
    """Name the sources that lose more than a share of their documents, or everything.

    Args:
        ledger: `source` of each document of the base release.
        lost: source, id and door (`gone` or `refused`) of each document that would leave the index.
        listed: Source to the number of items that it lists now.
        share: Share that a source may lose unasked.
    """
    before = _by_source(ledger)
    reasons = []
    for source, count in sorted(_by_source(lost).items()):
        if count > share * before[source] or not listed.get(source):
            now = f"lists {listed[source]:,} now" if source in listed else "is not configured any more"
            mine = lost.filter(pl.col("source") == source)
            doors = ", ".join(f"{n:,} {door}" for door, n in mine["door"].value_counts().sort("door").iter_rows())
            reasons.append(
                f"source {source!r} lost {count:,} of its {plural(before[source], 'document')} "
                f"({count / before[source]:.0%}; allowed {share:.0%}) and {now} ({doors}: {_named(mine)})"
            )
    return reasons


def staleness(ledger: pl.DataFrame, stale: pl.DataFrame, limits: LimitsConfig) -> list[str]:
    """Name the sources of which too many documents go stale at once.

    Args:
        ledger: `source` of each document of the base release.
        stale: source and id of each document that goes stale with this run.
        limits: How many may, unasked.
    """
    before = _by_source(ledger)
    share = limits.max_stale_share
    return [
        f"source {source!r} is broken in {count:,} of its {plural(before[source], 'document')}, whose last versions "
        f"would go on answering ({count / before[source]:.0%}; allowed {share:.0%}: "
        f"{_named(stale.filter(pl.col('source') == source))})"
        for source, count in sorted(_by_source(stale).items())
        if count > limits.stale_floor and count > share * before[source]
    ]


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
    return [f"the rebuild would hold {plural(documents, 'document')} where release {base.seq} holds {before:,}"]


def emptiness(base: Release | None, scan: Scan, documents: int) -> list[str]:
    """Say so where a first release would hold nothing: mostly a path or a pattern is wrong.

    Args:
        base: The release before.
        scan: What the sources list and leave out.
        documents: How many the release would hold.
    """
    if base is not None or documents:
        return []
    told = []
    for source, count in scan.counts.items():
        passed = scan.passed_over.get(source)
        over = f" and passes over {passed_words(passed)}" if passed else ""
        told.append(f"source {source!r} lists {f'{count:,}, none of them accepted,' if count else 'nothing'}{over}")
    return [f"the first release would hold no document: {'; '.join(told)}"]


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
    reasons = [f"encoder: {told}; {plural(pending.contents, 'chunk')} ({pending.tokens:,} tokens) to embed"]
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
    accept_stale: bool = False,
    accept_encoder: bool = False,
    accept_empty: bool = False,
) -> Verdict:
    """Judge the run as a whole: what is refused, leaves or goes stale, expectations on the batch, another encoder."""
    if validated.verdict is not None and not validated.verdict.ok:
        return Verdict(Outcome.REFUSED, tuple(validated.verdict.failures))
    refused = _refusals(limits, scan.listed.height, validated.refused.height + plan.held.height)
    if refused:
        return Verdict(Outcome.REFUSED, refused)
    lost = [] if accept_deletions else _losses(context, limits, scan, deduplicated)
    stale = [] if accept_stale else staleness(context.ledger(), deduplicated.newly_stale, limits)
    changed = [] if accept_encoder else encoder_change(_before(context), encoder, pending)
    nothing = [] if accept_empty else emptiness(context.base, scan, deduplicated.after.height)
    if not lost and not stale and not changed and not nothing:
        return Verdict(Outcome.PASSED)
    # An approval that was given already stays in the command: without it the next run would wait for that one.
    approved = {
        "--accept-deletions": bool(lost) or accept_deletions,
        "--accept-stale": bool(stale) or accept_stale,
        "--accept-encoder": bool(changed) or accept_encoder,
        "--accept-empty": bool(nothing) or accept_empty,
    }
    options = [option for option, given in approved.items() if given]
    way_on = _way_on(context, options, mend=bool(stale or nothing))
    return Verdict(Outcome.NEEDS_APPROVAL, (*lost, *stale, *changed, *nothing, way_on))


def _before(context: Context) -> Release | None:
    """The newest release whose record is as it was written: a rebuild may follow one that says anything by now."""
    base = context.base
    if base is None or base.intact is not False:
        return base
    return next((each for each in Releases(context.store).retained() if each.intact is not False), None)


def _refusals(limits: LimitsConfig, listed: int, refused: int) -> tuple[str, ...]:
    """Say so where too many of all that is listed are refused."""
    if refused <= limits.refused_floor or refused <= limits.max_refused_share * listed:
        return ()
    return (
        f"{refused:,} of {plural(listed, 'document')} were refused ({refused / listed:.0%}; allowed "
        f"{limits.max_refused_share:.0%}): see `tidemark quarantine list`; mend the source or the rules, or "
        "raise limits.max_refused_share",
    )


def _losses(context: Context, limits: LimitsConfig, scan: Scan, deduplicated: DeduplicationResult) -> list[str]:
    """Count whatever would leave the index, by whatever door, against the limit."""
    if context.rebuild:
        return shrinkage(_before(context), deduplicated.after.height, limits.max_lost_share)
    doors = [("gone", deduplicated.deleted), ("refused", deduplicated.refused)]
    lost = pl.concat([frame.select("source", "id", pl.lit(door).alias("door")) for door, frame in doors])
    return losses(context.ledger(), lost, scan.counts, limits.max_lost_share)


def _way_on(context: Context, options: Sequence[str], *, mend: bool) -> str:
    """Tell which options approve of it."""
    rebuild = " --rebuild" if context.rebuild else ""
    command = " ".join([f"tidemark refresh{rebuild}", *options])
    first = "mend the source, or, " if mend else ""
    return f"{first}if that is right, run `{command}`; `tidemark plan{rebuild}` shows what would change"


def _by_source(frame: pl.DataFrame) -> dict[str, int]:
    return dict(frame.group_by("source").len().iter_rows())


def _named(documents: pl.DataFrame) -> str:
    """The first documents by name, and how many more there are."""
    shown = ", ".join(shorten(name) for name in documents["id"].sort().head(NAMED))
    return shown if documents.height <= NAMED else f"{shown} and {documents.height - NAMED:,} more"
