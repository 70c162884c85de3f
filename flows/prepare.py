"""The stages that only read, in order and timed: what `plan` shows and `refresh` goes on from."""

from __future__ import annotations

from flows.run import Clock
from tasks.build.chunk import chunk
from tasks.build.embed import find_pending
from tasks.context import Context
from tasks.curate.deduplicate import deduplicate
from tasks.curate.validate import validate
from tasks.ingest.plan import plan
from tasks.ingest.scan import scan
from tasks.tally import Preparation

__all__ = ["prepare"]


def prepare(context: Context, clock: Clock) -> Preparation:
    """Run the stages that write nothing to the store."""
    with clock.stage("scan"):
        scanned = scan(context)
    with clock.stage("plan"):
        planned = plan(context, scanned)
    with clock.stage("validate"):
        validated = validate(context, planned)
    with clock.stage("deduplicate"):
        deduplicated = deduplicate(context, planned, validated)
    with clock.stage("chunk"):
        changes = chunk(context, deduplicated, validated)
        wanted = find_pending(context, changes)
    return Preparation(scanned, planned, validated, deduplicated, changes, wanted)
