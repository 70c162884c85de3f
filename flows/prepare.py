"""The stages that only read, in order and timed: what `plan` shows, `refresh` and `reembed` go on from."""

from __future__ import annotations

import polars as pl

from flows.clock import Clock
from flows.config.schema import Config
from models.encoder import EncoderFolder
from storage.tables.roles import Precision
from tasks.build.chunk import chunk
from tasks.build.embed import find_pending
from tasks.context import Context
from tasks.curate.decisions import decided
from tasks.curate.deduplicate import deduplicate
from tasks.curate.validate import REFUSED, ValidationResult, validate
from tasks.curate.validation import Suite
from tasks.ingest.plan import KEPT, Plan, plan
from tasks.ingest.read import TOUCHED, Reading, read
from tasks.ingest.scan import LISTED, Scan, scan
from tasks.tally import Preparation

__all__ = ["prepare", "prepare_stored"]


def prepare(
    context: Context,
    encoder: EncoderFolder,
    suite: Suite,
    config: Config,
    clock: Clock,
    *,
    accept_deletions: bool = False,
) -> Preparation:
    """Run the stages that write nothing to the store.

    Args:
        context: The run.
        encoder: What the chunks are cut and embedded for.
        suite: Rules of validation.
        config: The configuration.
        clock: Times the stages.
        accept_deletions: Count what a source that is broken in part lists no more as deleted, instead of keeping it.
    """
    with clock.stage("scan"):
        scanned = scan(context)
    with clock.stage("plan"):
        decisions = decided(context.store, suite)
        planned = plan(context, scanned, keep=not accept_deletions, decisions=decisions)
    with clock.stage("read"):
        reading = read(context, planned, decisions)
    with clock.stage("validate"):
        validated = validate(context, suite, reading, decisions)
    with clock.stage("deduplicate"):
        deduplicated = deduplicate(context, planned, validated)
    with clock.stage("chunk"):
        changes = chunk(context, encoder, config.chunker, deduplicated, validated, *_table(context, encoder, config))
        wanted = find_pending(context, encoder, changes)
    return Preparation(scanned, planned, reading, validated, deduplicated, changes, wanted)


def _table(context: Context, encoder: EncoderFolder, config: Config) -> tuple[Precision, str | None]:
    """The precision and the table that a night writes to; on a release of mapped vectors it goes on in its table."""
    base = context.base
    if base is None or context.rebuild or base.text.bridge is None or base.space != encoder.space.id:
        return config.index.precision, None
    return base.text.index.precision, base.chunks


def prepare_stored(context: Context, encoder: EncoderFolder, config: Config, clock: Clock) -> Preparation:
    """What `prepare` says where no source is looked at and every document stays as the base release holds it.

    Args:
        context: The run.
        encoder: What the chunks are cut and embedded for.
        config: The configuration.
        clock: Times the stages.
    """
    ledger, spill = context.ledger(), context.workspace.spill
    listed = ledger.select("source", "id", "key", pl.col("key").alias("row"), pl.lit(1).alias("occurrence"), "revision")
    scanned = Scan(listed.with_columns(pl.lit(None).alias("problem")).cast(pl.Schema(LISTED)), {})
    nothing, keys = scanned.listed.clear(), ledger["key"].clear()
    planned = Plan(
        candidates=nothing.with_columns(pl.lit("").alias("cause")),
        same=ledger.height,
        held=nothing.with_columns(pl.lit("").alias("cause"), pl.lit(value=False).alias("stays")),
        gone=ledger.clear(),
        kept=pl.DataFrame(schema=KEPT),
        stale_since=pl.DataFrame(schema={"key": pl.String, "stale_since": pl.Datetime("us", "UTC")}),
    )
    reading = Reading(spill("read"), pl.DataFrame(schema=TOUCHED), keys, absent=0)
    refused = pl.DataFrame(schema=REFUSED)
    validated = ValidationResult(
        spill("accepted"), refused, keys, keys, unreadable=0, judged=0, causes={}, verdict=None
    )
    deduplicated = deduplicate(context, planned, validated)
    with clock.stage("chunk"):
        changes = chunk(context, encoder, config.chunker, deduplicated, validated, config.index.precision)
        wanted = find_pending(context, encoder, changes)
    return Preparation(scanned, planned, reading, validated, deduplicated, changes, wanted)
