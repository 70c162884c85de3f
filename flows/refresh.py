"""The nightly refresh: from the scan of the sources, over canaries and gate, to what `renew` makes of news."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from flows.config.schema import Config
from flows.context import docs_folder, opened, rebased
from flows.environment import libraries
from flows.loop import propose
from flows.prepare import prepare
from flows.result import RunResult
from flows.run import Run, recorded
from flows.table import Option
from models.device import require_device
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
from tasks.release.readable import require_readable
from tasks.release.serving import described, serving
from tasks.tally import Preparation, causes, stale_note, tally, time_note
from tasks.watch.canary import CanaryResult, canary, unmixed
from tasks.watch.history import is_night
from tasks.watch.night import News, night_of

if TYPE_CHECKING:
    from flows.planned import Taken

__all__ = ["RunResult", "refresh"]

logger = logging.getLogger(__name__)

SPLITS: tuple[Split, ...] = ("dev", "test")  # of the questions that a night may ask


def refresh(
    config: Config,
    *,
    accept_deletions: bool = False,
    accept_stale: bool = False,
    accept_encoder: bool = False,
    accept_empty: bool = False,
    rebuild: bool = False,
    plan: Annotated[str | None, Option(metavar="FILE")] = None,
    trigger: str = "manual",
    console: Progress | None = None,
) -> RunResult:
    """Bring the index up to date and publish what changed as one release.

    Args:
        config: The configuration.
        accept_deletions: Approve that a source loses more documents than limits.max_lost_share.
        accept_stale: Approve that more of a source breaks at once than limits.max_stale_share; its last versions stay.
        accept_encoder: Approve that another encoder replaces that of the release.
        accept_empty: Approve that the first release holds no document.
        rebuild: Take nothing over from earlier releases: embed everything again. What cannot be read is set aside.
        plan: Take over what `plan -o FILE` read, judged and cut, if nothing that it rests on changed.
        trigger: Who started it, for the record.
        console: Where it says how far it is.

    Returns:
        How it ended; refusals are outcomes, not exceptions.

    Raises:
        InputError: The configuration names something that is not there, or the plan is out of date; nothing was
            recorded, unless another run publishes at this very moment.
        ModelError: The encoder cannot be used, or the machine has not its device; nothing was recorded.
        LeaseHeld: Another run holds the store.
        Exception: Whatever failed; the run is recorded as failed and the last release is untouched.
    """
    progress, name = console or Silent(), new_run()
    require_device(config.encoder.device, "encoder.device")
    suite, configured = load_suite(config.validation), resolve(config.encoder, config.base)
    for split in SPLITS:  # wrong questions are told before hours of work, not after
        question_sets(config.evaluation, config.base, split)
    approved: Approvals = {
        "accept_deletions": accept_deletions,
        "accept_stale": accept_stale,
        "accept_encoder": accept_encoder,
        "accept_empty": accept_empty,
    }
    with ExitStack() as stack:
        # Wrong input, and a plan that is out of date, are told before anything is written.
        unbound = stack.enter_context(opened(config, name, progress, suite))
        taken = (
            None
            if plan is None
            else _taken(Path(plan), replace(rebased(unbound), rebuild=rebuild), config, suite, configured)
        )
        run = stack.enter_context(
            recorded(
                unbound.store,
                "refresh",
                config=config,
                trigger=trigger,
                progress=progress,
                lease=True,
                run=name,
                started=unbound.now,  # of what it writes into the quarantine: new if it is not older than the run
                repair=rebuild,
            )
        )
        _refresh(replace(rebased(unbound), rebuild=rebuild), configured, suite, config, run, approved, taken)
    propose(config, run.id, run.release, _retrain)
    return RunResult.of(run, str(run.facts["model"]["id"]))


def _retrain(config: Config, **options: Any) -> Any:
    from flows.retrain import retrain  # which knows networks, as few nights have to

    return retrain(config, **options)


def _taken(file: Path, context: Context, config: Config, suite: Suite, configured: EncoderFolder) -> Taken:
    from flows.planned import take

    return take(file, context, config, suite, serving(context.store, context.base, configured))


def _refresh(
    context: Context,
    configured: EncoderFolder,
    suite: Suite,
    config: Config,
    run: Run,
    approved: Approvals,
    taken: Taken | None,
) -> None:
    run.base = None if context.base is None else context.base.seq
    run.facts["model"] = described(context.store, context.base, configured, configured).to_dict()
    if context.base is not None and not context.rebuild:
        require_readable(context.store, context.base)
    encoder = serving(context.store, context.base, configured)
    record = described(context.store, context.base, encoder, configured)
    run.facts["model"] = record.to_dict()
    deletions = approved["accept_deletions"]
    if taken is None:
        done = prepare(context, encoder, suite, config, run.clock, accept_deletions=deletions)
    else:
        done = taken.prepared(context, encoder, accept_deletions=deletions)
    run.facts["data"] = {"sources": done.scan.versions}
    run.counts, run.causes = tally(context, done), causes(context, done)
    sung = _canary(context, encoder, config, run, done, accept=approved["accept_encoder"])
    fresh = unmixed(context, encoder, sung, done)
    if fresh is not done:  # what is left to embed is more than it was
        done, run.counts = fresh, tally(context, fresh)
    del fresh
    _quarantine(context, config, done)
    with run.clock.stage("gate"):
        listed = (done.scan, done.plan, done.validated, done.deduplicated, done.pending)
        verdict = gate(context, encoder, config.limits, *listed, **approved)
    brought = partial(night_of, context, News.of(done), encoder.space.id)
    if verdict.outcome is not Outcome.PASSED:  # what stopped the night is what people want to know of it
        from flows.watching import beside, keep_watch

        keep_watch(context, brought(), config, run, beside(context, encoder, config, run, sung))
    verdict.enforce()
    settle(context, done.reading, done.plan, done.validated, done.deduplicated)
    stale = stale_note(run.counts) + time_note(run.counts)
    if not done.publishes and not reindexes(context.base, config.index):
        base = context.base
        if base is not None and is_night(context.store, context.now, config.drift):
            from flows.watching import beside, keep_watch

            others = beside(context, encoder, config, run, sung)
            stale += keep_watch(context, brought(), config, run, others, maker=base.run, release=base.seq)
        run.conclude(Outcome.UNCHANGED, f"nothing changed: 0 chunks embedded{stale}", run.base)
        return
    from flows.renew import renew  # which knows all that makes a release: a night without news needs none of it
    from tasks.work import Work

    work = Work.of(done, run.counts, run.causes)
    del done, listed  # they hold a row for every document, beside which a million chunks would be written
    renew(context, encoder, record, config, run, work, brought, sung, stale)


def _canary(
    context: Context, encoder: EncoderFolder, config: Config, run: Run, done: Preparation, *, accept: bool
) -> CanaryResult:
    """Refuse a night whose vectors would not fit those of the index: before it writes anything but the alarm.

    Raises:
        Refused: They would not.
    """
    if not config.drift.encoder:
        return CanaryResult()
    with run.clock.stage("canary"):
        sung = canary(context, encoder, done.pending, libraries(), accept=accept)
    if sung.verdict.outcome is not Outcome.PASSED:
        from flows.watching import Beside, keep_watch

        keep_watch(context, night_of(context, News.of(done), encoder.space.id), config, run, Beside(sung.figures))
    sung.verdict.enforce()
    return sung


def _quarantine(context: Context, config: Config, done: Preparation) -> None:
    """Keep what was refused, with the reasons, also when the run ends without a release."""
    quarantine(context, done.plan, done.validated)
    if done.validated.verdict is None:
        return
    try:
        write_docs(docs_folder(config), done.validated.verdict, context.run, context.now)
    except OSError as error:  # a store in a bucket has them beside the configuration, which may be there to read only
        logger.warning("the data docs are not written, and the quarantine holds the same: %s", error)
