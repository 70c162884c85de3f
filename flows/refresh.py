"""The nightly refresh: scan, plan, read, validate, deduplicate, chunk, gate, embed, write, index, audit, publish."""

from __future__ import annotations

from dataclasses import replace

from flows.build import build, publish_built
from flows.config.schema import Config
from flows.context import docs_folder, opened, rebased
from flows.prepare import prepare
from flows.run import Run, RunResult, recorded
from models.encoder import EncoderFolder, resolve
from storage.outcome import Outcome
from storage.tables.runs import new_run
from tasks.build.index import reindexes
from tasks.context import Context
from tasks.curate.gate import Approvals, gate
from tasks.curate.quarantine import quarantine, settle
from tasks.curate.validation import Suite, load_suite, write_docs
from tasks.learn.judged import question_sets
from tasks.learn.questions import Split
from tasks.progress import Progress, Silent
from tasks.release.publish import clean_up
from tasks.release.readable import require_readable
from tasks.release.serving import described, serving
from tasks.tally import Preparation, causes, stale_note, tally

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
    suite, configured = load_suite(config.validation), resolve(config.encoder, config.base)
    for split in SPLITS:  # wrong questions are told before hours of work, not after
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
        _refresh(replace(rebased(unbound), rebuild=rebuild), configured, suite, config, run, approved)
    return RunResult.of(run, str(run.facts["model"]["id"]))


def _refresh(
    context: Context, configured: EncoderFolder, suite: Suite, config: Config, run: Run, approved: Approvals
) -> None:
    run.base = None if context.base is None else context.base.seq
    run.facts["model"] = described(context.store, context.base, configured, configured).to_dict()
    if context.base is not None and not context.rebuild:
        require_readable(context.store, context.base)
    encoder = serving(context.store, context.base, configured)
    record = described(context.store, context.base, encoder, configured)
    run.facts["model"] = record.to_dict()
    done = prepare(context, encoder, suite, config, run.clock, accept_deletions=approved["accept_deletions"])
    run.facts["data"] = {"sources": done.scan.versions}
    run.counts, run.causes = tally(context, done), causes(context, done)
    _quarantine(context, config, done)
    with run.clock.stage("gate"):
        found = (done.scan, done.plan, done.validated, done.deduplicated, done.pending)
        gate(context, encoder, config.limits, *found, **approved).enforce()
    settle(context, done.reading, done.plan, done.validated, done.deduplicated)
    stale = stale_note(run.counts)
    if not done.publishes and not reindexes(context.base, config.index):
        run.conclude(Outcome.UNCHANGED, f"nothing changed: 0 chunks embedded{stale}", run.base)
        return
    built = build(context, encoder, record, config, run, done)
    release = publish_built(context, encoder, config, run, built)
    smaller = "" if built.smaller is None else f"; {built.smaller.message}"
    run.conclude(Outcome.PUBLISHED, f"release {release.seq} is published{stale}{smaller}", release.seq)
    with run.clock.stage("clean_up"):
        clean_up(context.store, config.releases, encoder.space.id)


def _quarantine(context: Context, config: Config, done: Preparation) -> None:
    """Keep what was refused, with the reasons, also when the run ends without a release."""
    quarantine(context, done.plan, done.validated)
    if done.validated.verdict is not None:
        write_docs(docs_folder(config), done.validated.verdict, context.run, context.now)
