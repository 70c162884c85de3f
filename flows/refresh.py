"""The nightly refresh: scan, plan, read, validate, deduplicate, chunk, gate, embed, write, index, audit, publish."""

from __future__ import annotations

import json
from dataclasses import replace

from flows.config.schema import Config
from flows.context import docs_folder, opened, rebased
from flows.environment import code, libraries
from flows.prepare import prepare
from flows.run import Run, RunResult, recorded
from models.encoder import EncoderFolder, resolve
from storage.outcome import Outcome
from storage.tables.releases import Draft, Release
from storage.tables.roles import TEXT, EncoderRecord, Role
from storage.tables.runs import new_run
from tasks.build.embed import embed
from tasks.build.index import index
from tasks.build.write import write
from tasks.context import Context
from tasks.curate.gate import Approvals, gate
from tasks.curate.quarantine import quarantine, settle
from tasks.curate.validation import Suite, load_suite, write_docs
from tasks.learn.floors import check, watched
from tasks.learn.fusion import fit_words
from tasks.learn.judged import question_sets
from tasks.learn.questions import Split
from tasks.progress import Progress, Silent
from tasks.release.audit import Snapshot, audit
from tasks.release.publish import clean_up, publish
from tasks.release.readable import require_readable
from tasks.tally import Preparation, causes, stale_note, tally
from tasks.verdict import Refused

__all__ = ["RunResult", "refresh"]

SPLITS: tuple[Split, ...] = ("dev", "test")  # of the questions that a night may ask


def refresh(
    config: Config,
    *,
    accept_deletions: bool = False,
    accept_stale: bool = False,
    accept_encoder: bool = False,
    rebuild: bool = False,
    trigger: str = "manual",
    console: Progress | None = None,
) -> RunResult:
    """Bring the index up to date and publish what changed as one release.

    Args:
        config: The configuration.
        accept_deletions: Approve that a source loses more documents than limits.max_lost_share.
        accept_stale: Approve that more of a source breaks at once than limits.max_stale_share; its last versions stay.
        accept_encoder: Approve that another encoder replaces that of the release.
        rebuild: Take nothing over from earlier releases: embed everything again.
        trigger: Who started it, for the record.
        console: Where it says how far it is.

    Returns:
        How it ended; refusals are outcomes, not exceptions.

    Raises:
        InputError: The configuration names something that is not there; nothing was recorded.
        ModelError: The encoder cannot be used; nothing was recorded.
        LeaseHeld: Another run holds the store.
        Exception: Whatever failed; the run is recorded as failed and the last release is untouched.
    """
    progress, name = console or Silent(), new_run()
    suite, encoder = load_suite(config.validation), resolve(config.encoder, config.base)
    for split in SPLITS:
        question_sets(config.evaluation, config.base, split)
    approved: Approvals = {
        "accept_deletions": accept_deletions,
        "accept_stale": accept_stale,
        "accept_encoder": accept_encoder,
    }
    with (
        opened(config, name, progress, suite) as unbound,  # wrong input is told before anything is written
        recorded(
            unbound.store, "refresh", config=config, trigger=trigger, progress=progress, lease=True, run=name
        ) as run,
    ):
        _refresh(replace(rebased(unbound), rebuild=rebuild), encoder, suite, config, run, approved)
    return RunResult.of(run, encoder.space.id)


def _refresh(
    context: Context, encoder: EncoderFolder, suite: Suite, config: Config, run: Run, approved: Approvals
) -> None:
    run.base = None if context.base is None else context.base.seq
    run.facts["model"] = json.loads(encoder.space.to_json()) | {"revision": encoder.revision}
    if context.base is not None and not context.rebuild:
        require_readable(context.store, context.base)
    done = prepare(context, encoder, suite, config, run.clock, accept_deletions=approved["accept_deletions"])
    run.facts["data"] = {"sources": done.scan.versions}
    run.counts, run.causes = tally(context, done), causes(context, done)
    _quarantine(context, config, done)
    with run.clock.stage("gate"):
        found = (done.scan, done.plan, done.validated, done.deduplicated, done.pending)
        gate(context, encoder, config.limits, *found, **approved).enforce()
    settle(context, done.reading, done.plan, done.validated, done.deduplicated)
    stale = stale_note(run.counts)
    if not done.publishes:
        run.conclude(Outcome.UNCHANGED, f"nothing changed: 0 chunks embedded{stale}", run.base)
        return
    release = _release(context, encoder, config, run, done)
    run.conclude(Outcome.PUBLISHED, f"release {release.seq} is published{stale}", release.seq)
    with run.clock.stage("clean_up"):
        clean_up(context.store, config.releases, encoder.space.id)


def _release(context: Context, encoder: EncoderFolder, config: Config, run: Run, done: Preparation) -> Release:
    """Embed, write, index, audit and publish: the part that writes."""
    clock = run.clock
    with clock.stage("embed"):
        embed(context, encoder, done.changes, done.pending)
    with clock.stage("write"):
        written = write(context, encoder, done.plan, done.reading, done.validated, done.deduplicated, done.changes)
    with clock.stage("index"):
        indexed = index(context, encoder, config.index, written.tables)
    role = Role(
        space=encoder.space.id,
        encoder=EncoderRecord.from_dict(run.facts["model"]),
        table=done.changes.table,
        version=indexed.tables[done.changes.table],
        index=indexed.facts,
        chunker=done.changes.fingerprint,
    )
    if dev := question_sets([each for each in config.evaluation if each.role == "target"], config.base, "dev"):
        with clock.stage("fuse"):
            role = replace(role, fusion=fit_words(context, encoder, dev, indexed.tables, role).fusion)
    with clock.stage("audit"):
        audited = audit(Snapshot(context.store, indexed.tables, {TEXT: role}, run.counts), config.index)
    if not audited.ok:
        raise Refused(f"the audit failed: {audited.message}")
    run.facts["data"]["tables"] = indexed.tables
    told = audited.to_dict()
    if watched(context, config.evaluation, config.quality):
        with clock.stage("evaluate"):
            floors = check(context, encoder, config.evaluation, config.base, config.quality, indexed.tables, role)
        floors.verdict.enforce()
        told["quality"] = floors.to_dict()
    draft = Draft(
        run=run.id,
        tables=indexed.tables,
        roles={TEXT: replace(role, index=replace(role.index, recall=audited.recall))},
        counts=run.counts,
        audit=told,
        config=json.loads(config.to_json()),
        code=code() | libraries(),
        message=f"{run.counts['documents']:,} documents, {run.counts['embedded']:,} chunks embedded",
    )
    with clock.stage("publish"):
        return publish(context, run.held, draft)


def _quarantine(context: Context, config: Config, done: Preparation) -> None:
    """Keep what was refused, with the reasons, also when the run ends without a release."""
    quarantine(context, done.plan, done.validated)
    if done.validated.verdict is not None:
        write_docs(docs_folder(config), done.validated.verdict, context.run, context.now)
