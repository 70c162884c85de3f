"""The stages that only read, in order and timed: what `plan` shows and `refresh` goes on from."""

from __future__ import annotations

from flows.config.schema import Config
from flows.run import Clock
from models.encoder import EncoderFolder
from tasks.build.chunk import chunk
from tasks.build.embed import find_pending
from tasks.context import Context
from tasks.curate.deduplicate import deduplicate
from tasks.curate.validate import validate
from tasks.curate.validation import Suite
from tasks.ingest.plan import plan
from tasks.ingest.read import read
from tasks.ingest.scan import scan
from tasks.tally import Preparation

__all__ = ["prepare"]


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
        planned = plan(context, scanned, keep=not accept_deletions)
    with clock.stage("read"):
        reading = read(context, planned)
    with clock.stage("validate"):
        validated = validate(context, suite, reading)
    with clock.stage("deduplicate"):
        deduplicated = deduplicate(context, planned, validated)
    with clock.stage("chunk"):
        changes = chunk(context, encoder, config.chunker, deduplicated, validated)
        wanted = find_pending(context, encoder, changes)
    return Preparation(scanned, planned, reading, validated, deduplicated, changes, wanted)
