"""The nightly refresh: scan, plan, validate, deduplicate, chunk, embed, write, index, audit, gate, publish."""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from flows.config.schema import Config
from flows.context import code, docs_folder, libraries, opened, rebased
from flows.prepare import Clock, prepare
from flows.views.progress import Progress, Silent
from storage.errors import NeedsApproval, Refused, summary
from storage.tables.format import migrate
from storage.tables.housekeeping import keep_small
from storage.tables.lease import Lease
from storage.tables.quarantine import Quarantine
from storage.tables.releases import Draft, Release
from storage.tables.roles import TEXT, EncoderRecord, Role
from storage.tables.runs import Runs, new_run
from tasks.build.embed import embed
from tasks.build.index import index
from tasks.build.write import write
from tasks.context import Context
from tasks.curate.gate import gate
from tasks.curate.validation import write_docs
from tasks.release.audit import Snapshot, audit
from tasks.release.publish import clean_up, publish
from tasks.tally import Preparation, causes, tally

__all__ = ["RunResult", "refresh"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunResult:
    """How a run ended.

    Attributes:
        run: Its id.
        release: The release that readers see now; None before the first.
        outcome: published, unchanged, refused, needs-approval or failed.
        counts: Documents and chunks; `tasks.tally` defines them.
        seconds: Seconds a stage, and `total`.
        message: One line for people.
        causes: Why there was work: documents a cause.
        space: Vector space of the run.
    """

    run: str
    release: int | None
    outcome: str
    counts: dict[str, int]
    seconds: dict[str, float]
    message: str
    causes: dict[str, int] = field(default_factory=dict)
    space: str = ""


@dataclass
class Journey:
    """What is known of a run so far, so that a run that ends early is recorded with all of it."""

    clock: Clock
    counts: dict[str, int] = field(default_factory=dict)
    causes: dict[str, int] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    space: str = ""
    base: int | None = None


def refresh(
    config: Config,
    *,
    accept_deletions: bool = False,
    rebuild: bool = False,
    trigger: str = "manual",
    console: Progress | None = None,
) -> RunResult:
    """Bring the index up to date with its sources and publish what changed as one release.

    Args:
        config: The configuration.
        accept_deletions: Approve that a source lost more than `limits.max_lost_share` of its documents.
        rebuild: Take nothing over from earlier releases: read, judge, cut and embed everything again.
        trigger: Who started it, for the record.
        console: Where it says how far it is.

    Returns:
        How it ended; refusals are outcomes, not exceptions.

    Raises:
        InputError: The configuration names something that is not there; nothing was recorded.
        LeaseHeld: Another run holds the store.
        Exception: Whatever failed; the run is recorded as failed and the last release is untouched.
    """
    run = new_run()
    progress = console or Silent()
    journey = Journey(Clock(progress))
    with opened(config, run, progress) as unbound:  # wrong input is told before anything is written
        runs = Runs(unbound.store)
        with Lease(unbound.store, run) as lease:
            migrate(unbound.store)
            context = replace(rebased(unbound), afresh=rebuild)
            context.workspace.sweep()
            runs.interrupt()
            about = {"config": json.loads(config.to_json()), "libraries": libraries(), "code": code()}
            runs.start(run, "refresh", trigger=trigger, token=lease.token, **about)
            try:
                result = _refresh(context, config, lease, journey, accept_deletions)
            except (NeedsApproval, Refused) as stop:
                outcome = "needs-approval" if isinstance(stop, NeedsApproval) else "refused"
                result = _result(run, journey, outcome, journey.base, str(stop))
            except (Exception, KeyboardInterrupt) as error:
                message = summary(error)
                with suppress(OSError):  # what failed may be the store itself: the first error is the one to tell
                    runs.finish(run, "failed", message=message, **_facts(journey))
                keep_small(unbound.store)  # a source that is broken for a year fails every night
                raise
            runs.finish(run, result.outcome, release=result.release, message=result.message, **_facts(journey))
            keep_small(unbound.store)
    return result


def _refresh(context: Context, config: Config, lease: Lease, journey: Journey, accept_deletions: bool) -> RunResult:
    clock = journey.clock
    journey.space = context.space.id
    journey.base = None if context.base is None else context.base.seq
    journey.facts["model"] = json.loads(context.space.to_json())
    done = prepare(context, clock)
    journey.facts["data"] = {"sources": done.scan.versions}
    journey.counts, journey.causes = tally(context, done), causes(context, done)
    _quarantine(context, config, done)
    with clock.stage("gate"):
        verdict = gate(
            context, config.limits, done.scan, done.plan, done.validated, done.deduplicated, accept_deletions
        )
        verdict.enforce()
    _let_go(context, done)
    if not done.publishes(context):
        return _result(context.run, journey, "unchanged", journey.base, "nothing changed: 0 chunks embedded")
    release = _release(context, config, lease, journey, done)
    with clock.stage("clean_up"):
        clean_up(context.store, config.releases, context.space.id)
    return _result(context.run, journey, "published", release.seq, f"release {release.seq} is published")


def _release(context: Context, config: Config, lease: Lease, journey: Journey, done: Preparation) -> Release:
    """Embed, write, index, audit and publish: the part that writes."""
    clock = journey.clock
    with clock.stage("embed"):
        embed(context, done.changes, done.pending)
    with clock.stage("write"):
        written = write(context, done.plan, done.validated, done.deduplicated, done.changes)
    with clock.stage("index"):
        indexed = index(context, config.index, written.tables)
    space = context.space
    role = Role(
        space=space.id,
        encoder=EncoderRecord.from_dict(json.loads(space.to_json())),
        table=context.table,
        version=indexed.tables[context.table],
        index=indexed.facts,
        chunker=context.cutting,
    )
    snapshot = Snapshot(context.store, indexed.tables, {TEXT: role}, journey.counts)
    with clock.stage("audit"):
        audited = audit(context, snapshot, config.index)
    if not audited.ok:
        raise Refused("the audit failed: " + "; ".join(f"{check.name}: {check.detail}" for check in audited.failed))
    journey.facts["data"]["tables"] = indexed.tables
    draft = Draft(
        run=context.run,
        tables=indexed.tables,
        roles={TEXT: replace(role, index=replace(role.index, recall=audited.recall))},
        counts=journey.counts,
        audit=audited.to_dict(),
        config=json.loads(config.to_json()),
        code=code() | libraries(),
        message=f"{journey.counts['documents']:,} documents, {journey.counts['embedded']:,} chunks embedded",
    )
    with clock.stage("publish"):
        return publish(context, lease, draft)


def _quarantine(context: Context, config: Config, done: Preparation) -> None:
    """Keep what was refused, with the reasons, also when the run ends without a release."""
    Quarantine(context.store).refuse(done.validated.refused, context.run, context.now)
    if done.validated.verdict is not None:
        write_docs(docs_folder(config), done.validated.verdict, context.run, context.now)


def _let_go(context: Context, done: Preparation) -> None:
    """Release what was accepted or is gone; not before the gate, for which a source that lists nothing is no news."""
    quarantine = Quarantine(context.store)
    stay = {*done.validated.refused["key"], *done.plan.held["row"]}
    quarantine.release(key for key in quarantine.held()["key"] if key not in stay)


def _result(run: str, journey: Journey, outcome: str, release: int | None, message: str) -> RunResult:
    seconds = journey.clock.total()
    logger.info("run %s: %s (%s)", run, outcome, message)
    return RunResult(run, release, outcome, journey.counts, seconds, message, journey.causes, journey.space)


def _facts(journey: Journey) -> dict[str, Any]:
    return {"counts": journey.counts, "seconds": journey.clock.total(), "base": journey.base, **journey.facts}
