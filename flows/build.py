"""From what was prepared to a release: embed, write, index, audit, publish; every flow that publishes goes this way."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from flows.config.schema import Config
from flows.environment import code, libraries
from flows.prepare import prepare_stored
from flows.run import Run
from models.encoder import EncoderFolder
from storage.tables.releases import Draft, Release
from storage.tables.roles import RERANKER, TEXT, EncoderRecord, Role
from tasks.build.embed import embed
from tasks.build.index import index
from tasks.build.write import write
from tasks.context import Context
from tasks.learn.floors import Floors, check, watched
from tasks.learn.fusion import fit_words
from tasks.learn.judged import question_sets
from tasks.release.audit import AuditResult, Snapshot, audit
from tasks.release.publish import publish
from tasks.release.serving import carried
from tasks.tally import Preparation, causes, tally
from tasks.verdict import Refused

__all__ = ["Built", "build", "hold_floors", "publish_built", "stage_space"]


@dataclass(frozen=True)
class Built:
    """Tables that could be published as they are: whole and audited, and seen by nobody yet.

    Attributes:
        role: The text role: space, encoder, table with its version, and how it is searched.
        tables: Table name to the version that is to be pinned.
        counts: Documents and chunks, as `tasks.tally` defines them.
        causes: Why there was work: documents a cause.
        audit: The checks that hold.
        reranker: What orders the best of a search once more; None without one.
    """

    role: Role
    tables: dict[str, int]
    counts: dict[str, int]
    causes: dict[str, int]
    audit: AuditResult
    reranker: Role | None = None

    @property
    def roles(self) -> dict[str, Role]:
        """Role to what answers it."""
        return {TEXT: self.role} | ({} if self.reranker is None else {RERANKER: self.reranker})


def build(
    context: Context, encoder: EncoderFolder, record: EncoderRecord, config: Config, run: Run, done: Preparation
) -> Built:
    """Embed, write, index and audit on the heads of the tables, which no reader opens.

    Args:
        context: The run, which holds the lease.
        encoder: What embeds.
        record: What the release will say of it.
        config: The configuration.
        run: Its clock times the stages.
        done: What was prepared for that encoder.

    Raises:
        Refused: The audit failed.
    """
    clock, counts = run.clock, tally(context, done)
    with clock.stage("embed"):
        embed(context, encoder, done.changes, done.pending)
    with clock.stage("write"):
        written = write(context, encoder, done.plan, done.reading, done.validated, done.deduplicated, done.changes)
    with clock.stage("index"):
        indexed = index(context, encoder, config.index, written.tables)
    role = Role(
        space=encoder.space.id,
        encoder=record,
        table=done.changes.table,
        version=indexed.tables[done.changes.table],
        index=indexed.facts,
        chunker=done.changes.fingerprint,
    )
    if dev := question_sets([each for each in config.evaluation if each.role == "target"], config.base, "dev"):
        with clock.stage("fuse"):
            role = replace(role, fusion=fit_words(context, encoder, dev, indexed.tables, role).fusion)
    reranker = carried(context, role.space)
    roles = {TEXT: role} if reranker is None else {TEXT: role, RERANKER: reranker}
    with clock.stage("audit"):
        audited = audit(Snapshot(context.store, indexed.tables, roles, counts), config.index)
    if not audited.ok:
        raise Refused(f"the audit failed: {audited.message}")
    role = replace(role, index=replace(role.index, recall=audited.recall))
    return Built(role, indexed.tables, counts, causes(context, done), audited, reranker)


def stage_space(context: Context, encoder: EncoderFolder, record: EncoderRecord, config: Config, run: Run) -> Built:
    """Bring the documents of the base release into an encoder's own table, as the next release would have them.

    Nothing is published and no source is read; what `build` returns may be evaluated and judged before it is.

    Args:
        context: The run, which holds the lease.
        encoder: The encoder.
        record: What the release will say of it.
        config: The configuration.
        run: Its clock times the stages.

    Raises:
        Refused: The audit failed.
    """
    return build(context, encoder, record, config, run, prepare_stored(context, encoder, config, run.clock))


def hold_floors(context: Context, encoder: EncoderFolder, config: Config, run: Run, built: Built) -> Floors | None:
    """Measure what was built on the golden questions, where there are any; what it says may be enforced later.

    Args:
        context: The run.
        encoder: The encoder of what was built.
        config: The questions and the floors.
        run: Its clock times the stage.
        built: What readers are to see.
    """
    if not watched(context, config.evaluation, config.quality, always=config.drift.quality):
        return None
    with run.clock.stage("evaluate"):
        return check(context, encoder, config.evaluation, config.base, config.quality, built.tables, built.role)


def publish_built(
    context: Context,
    encoder: EncoderFolder,
    config: Config,
    run: Run,
    built: Built,
    message: str | None = None,
    floors: Floors | None = None,
) -> Release:
    """Make what was built the next release, if it answers as well as `[quality]` asks.

    Args:
        context: The run.
        encoder: The encoder of what was built.
        config: The configuration, for the record.
        run: It holds the lease.
        built: What readers are to see; a role that was fitted or judged meanwhile may stand in it.
        message: One line for people; how much was embedded if None.
        floors: What was measured of it; it is measured now if None.

    Raises:
        Refused: A floor of quality was missed.
        Held: Somebody holds the store.
        LeaseHeld: Another run took over meanwhile.
        ReleaseMoved: Another release was published meanwhile.
    """
    counts = built.counts
    run.facts.setdefault("data", {})["tables"] = built.tables
    held = floors or hold_floors(context, encoder, config, run, built)
    if held is not None:
        held.verdict.enforce()
    draft = Draft(
        run=run.id,
        tables=built.tables,
        roles=built.roles,
        counts=counts,
        audit=built.audit.to_dict() | ({} if held is None else {"quality": held.to_dict()}),
        config=json.loads(config.to_json()),
        code=code() | libraries(),
        message=message or f"{counts['documents']:,} documents, {counts['embedded']:,} chunks embedded",
    )
    with run.clock.stage("publish"):
        return publish(context, run.held, draft)
