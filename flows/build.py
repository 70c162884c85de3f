"""From what was prepared to a release: embed, write, index, audit, publish; every flow that publishes goes this way."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from flows.config.schema import Config
from flows.environment import code, libraries
from flows.prepare import prepare_stored
from flows.run import Run
from models.encoder import EncoderFolder
from storage.counts import indexed, plural
from storage.tables.origins import Origins
from storage.tables.releases import Draft, Release
from storage.tables.roles import RERANKER, TEXT, EncoderRecord, Role
from tasks.build.embed import embed
from tasks.build.index import index
from tasks.build.write import write
from tasks.context import Context
from tasks.learn.floors import Floors, check, watched
from tasks.learn.fusion import fit_words
from tasks.learn.judged import question_sets
from tasks.learn.smaller import Smaller, changed, judge_smaller
from tasks.release.audit import Snapshot, audit
from tasks.release.checks import AuditResult
from tasks.release.proof import taken_over, trusted
from tasks.release.publish import publish
from tasks.release.serving import carried
from tasks.tally import causes, tally
from tasks.verdict import Refused
from tasks.work import Work

__all__ = ["Built", "build", "finish", "hold_floors", "publish_built", "stage_space"]


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
        smaller: What vectors of fewer bits lose, where the release before had more; None where it had not.
    """

    role: Role
    tables: dict[str, int]
    counts: dict[str, int]
    causes: dict[str, int]
    audit: AuditResult
    reranker: Role | None = None
    smaller: Smaller | None = None

    @property
    def roles(self) -> dict[str, Role]:
        """Role to what answers it."""
        return {TEXT: self.role} | ({} if self.reranker is None else {RERANKER: self.reranker})


def build(
    context: Context, encoder: EncoderFolder, record: EncoderRecord, config: Config, run: Run, work: Work
) -> Built:
    """Embed, write, index and audit on the heads of the tables, which no reader opens.

    Args:
        context: The run, which holds the lease.
        encoder: What embeds.
        record: What the release will say of it.
        config: The configuration.
        run: Its clock times the stages.
        work: What was prepared for that encoder, and is used up.

    Raises:
        Refused: The audit failed, or vectors of fewer bits lose too much.
    """
    clock, changes = run.clock, work.changes
    pending = work.pending.take()
    with clock.stage("embed"):
        embed(context, encoder, changes, pending)
    cache = pending.cache
    del pending
    with clock.stage("write"):
        written = write(context, encoder, work.plan, work.reading, work.validated, work.deduplicated, changes, cache)
    del cache
    role = Role(encoder.space.id, record, changes.table, chunker=changes.fingerprint)
    if context.base is not None and context.base.text.table == role.table and not context.rebuild:
        role = replace(role, bridge=context.base.text.bridge)  # a night goes on among mapped vectors
    return finish(context, encoder, config, run, written.tables, role, work.counts, work.causes, written.origins)


def finish(
    context: Context,
    encoder: EncoderFolder,
    config: Config,
    run: Run,
    tables: dict[str, int],
    role: Role,
    counts: dict[str, int],
    why: dict[str, int],
    origins: Origins | None = None,
) -> Built:
    """Index and audit tables that were written, whoever wrote them.

    Args:
        context: The run, which holds the lease.
        encoder: The encoder of the role.
        config: The configuration.
        run: Its clock times the stages.
        tables: Table name to the version that was written.
        role: The text role, but for its version and how it is searched.
        counts: Documents and chunks, as `tasks.tally` defines them.
        why: Documents a cause of work.
        origins: The files out of which they were written; None where it may have been any of the base release.

    Raises:
        Refused: The audit failed, or vectors of fewer bits lose too much.
    """
    clock = run.clock
    with clock.stage("index"):
        indexed = index(context, encoder, config.index, tables)
    role = replace(role, version=indexed.tables[str(role.table)], index=indexed.facts)
    if dev := question_sets([each for each in config.evaluation if each.role == "target"], config.base, "dev"):
        with clock.stage("fuse"):
            role = replace(role, fusion=fit_words(context, encoder, dev, indexed.tables, role).fusion)
    smaller = _smaller(context, encoder, config, run, indexed.tables, role)
    reranker = carried(context, role.space)
    roles = {TEXT: role} if reranker is None else {TEXT: role, RERANKER: reranker}
    with clock.stage("audit"):
        snapshot = Snapshot(context.store, indexed.tables, roles, counts, base=trusted(context))
        audited = audit(snapshot, config.index)
        audited = replace(audited, checks=(*audited.checks, *taken_over(context, indexed.tables, origins)))
    if not audited.ok:
        raise Refused(f"the audit failed: {audited.message}")
    role = replace(role, index=replace(role.index, recall=audited.recall))
    return Built(role, indexed.tables, counts, why, audited, reranker, smaller)


def _smaller(
    context: Context, encoder: EncoderFolder, config: Config, run: Run, tables: dict[str, int], role: Role
) -> Smaller | None:
    """Judge another precision or kind of index, where the configuration names one that the release before had not.

    Raises:
        Refused: It loses more than is allowed.
    """
    if not changed(context, role.index, config.index):
        return None
    targets = question_sets([each for each in config.evaluation if each.role == "target"], config.base, "test")
    with run.clock.stage("compare"):
        found = judge_smaller(context, encoder, targets, tables, role, config.index, config.quality)
    found.verdict.enforce()
    return found


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
    done = prepare_stored(context, encoder, config, run.clock)
    work = Work.of(done, tally(context, done), causes(context, done))
    del done
    return build(context, encoder, record, config, run, work)


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
    told = message or f"{plural(indexed(counts), 'document')}, {plural(counts['embedded'], 'chunk')} embedded"
    run.facts.setdefault("data", {})["tables"] = built.tables
    held = floors or hold_floors(context, encoder, config, run, built)
    if held is not None:
        held.verdict.enforce()
    draft = Draft(
        run=run.id,
        tables=built.tables,
        roles=built.roles,
        counts=counts,
        audit=built.audit.to_dict() | _compression(built) | ({} if held is None else {"quality": held.to_dict()}),
        config=json.loads(config.to_json()),
        code=code() | libraries(),
        message=f"{told}; {built.smaller.message}" if built.smaller is not None else told,
    )
    with run.clock.stage("publish"):
        return publish(context, run.held, draft)


def _compression(built: Built) -> dict[str, dict[str, Any]]:
    return {} if built.smaller is None else {"compression": built.smaller.to_dict()}
