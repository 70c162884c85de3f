"""The nightly refresh: scan, plan, validate, deduplicate, chunk, gate, embed, write, index, audit, publish."""

from __future__ import annotations

import json
from dataclasses import replace

from flows.config.schema import Config
from flows.context import docs_folder, opened, rebased
from flows.environment import code, libraries
from flows.prepare import prepare
from flows.run import Run, RunResult, recorded
from storage.outcome import Outcome
from storage.tables.quarantine import Quarantine
from storage.tables.releases import Draft, Release
from storage.tables.roles import TEXT, EncoderRecord, Role
from storage.tables.runs import new_run
from tasks.build.embed import embed
from tasks.build.index import index
from tasks.build.write import write
from tasks.context import Context
from tasks.curate.gate import gate
from tasks.curate.validation import write_docs
from tasks.progress import Progress, Silent
from tasks.release.audit import Snapshot, audit
from tasks.release.publish import clean_up, publish
from tasks.tally import Preparation, causes, tally
from tasks.verdict import Refused

__all__ = ["RunResult", "refresh"]


def refresh(
    config: Config,
    *,
    accept_deletions: bool = False,
    rebuild: bool = False,
    trigger: str = "manual",
    console: Progress | None = None,
) -> RunResult:
    """Bring the index up to date and publish what changed as one release.

    Args:
        config: The configuration.
        accept_deletions: Approve that a source lost more documents than limits.max_lost_share.
        rebuild: Take nothing over from earlier releases: embed everything again.
        trigger: Who started it, for the record.
        console: Where it says how far it is.

    Returns:
        How it ended; refusals are outcomes, not exceptions.

    Raises:
        InputError: The configuration names something that is not there; nothing was recorded.
        LeaseHeld: Another run holds the store.
        Exception: Whatever failed; the run is recorded as failed and the last release is untouched.
    """
    progress, name = console or Silent(), new_run()
    with (
        opened(config, name, progress) as unbound,  # wrong input is told before anything is written
        recorded(
            unbound.store, "refresh", config=config, trigger=trigger, progress=progress, lease=True, run=name
        ) as run,
    ):
        _refresh(replace(rebased(unbound), afresh=rebuild), config, run, accept_deletions)
    return RunResult.of(run, unbound.space.id)


def _refresh(context: Context, config: Config, run: Run, accept_deletions: bool) -> None:
    run.base = None if context.base is None else context.base.seq
    run.facts["model"] = json.loads(context.space.to_json())
    done = prepare(context, run.clock)
    run.facts["data"] = {"sources": done.scan.versions}
    run.counts, run.causes = tally(context, done), causes(context, done)
    _quarantine(context, config, done)
    with run.clock.stage("gate"):
        limits, found = config.limits, (done.scan, done.plan, done.validated, done.deduplicated)
        gate(context, limits, *found, accept_deletions).enforce()
    _let_go(context, done)
    if not done.publishes(context):
        run.conclude(Outcome.UNCHANGED, "nothing changed: 0 chunks embedded", run.base)
        return
    release = _release(context, config, run, done)
    run.conclude(Outcome.PUBLISHED, f"release {release.seq} is published", release.seq)
    with run.clock.stage("clean_up"):
        clean_up(context.store, config.releases, context.space.id)


def _release(context: Context, config: Config, run: Run, done: Preparation) -> Release:
    """Embed, write, index, audit and publish: the part that writes."""
    clock = run.clock
    with clock.stage("embed"):
        embed(context, done.changes, done.pending)
    with clock.stage("write"):
        written = write(context, done.plan, done.validated, done.deduplicated, done.changes)
    with clock.stage("index"):
        indexed = index(context, config.index, written.tables)
    role = Role(
        space=context.space.id,
        encoder=EncoderRecord.from_dict(json.loads(context.space.to_json())),
        table=context.table,
        version=indexed.tables[context.table],
        index=indexed.facts,
        chunker=context.cutting,
    )
    with clock.stage("audit"):
        audited = audit(Snapshot(context.store, indexed.tables, {TEXT: role}, run.counts), config.index)
    if not audited.ok:
        raise Refused(f"the audit failed: {audited.message}")
    run.facts["data"]["tables"] = indexed.tables
    draft = Draft(
        run=run.id,
        tables=indexed.tables,
        roles={TEXT: replace(role, index=replace(role.index, recall=audited.recall))},
        counts=run.counts,
        audit=audited.to_dict(),
        config=json.loads(config.to_json()),
        code=code() | libraries(),
        message=f"{run.counts['documents']:,} documents, {run.counts['embedded']:,} chunks embedded",
    )
    with clock.stage("publish"):
        return publish(context, run.held, draft)


def _quarantine(context: Context, config: Config, done: Preparation) -> None:
    """Keep what was refused, with the reasons, also when the run ends without a release."""
    Quarantine(context.store).refuse(done.validated.refused, context.run, context.now)
    if done.validated.verdict is not None:
        write_docs(docs_folder(config), done.validated.verdict, context.run, context.now)


def _let_go(context: Context, done: Preparation) -> None:
    """Un-quarantine documents that were accepted or deleted.

    Runs after the gate: a source that lists nothing must not empty the quarantine.
    """
    quarantine = Quarantine(context.store)
    stay = {*done.validated.refused["key"], *done.plan.held["row"]}
    quarantine.release(key for key in quarantine.held()["key"] if key not in stay)
