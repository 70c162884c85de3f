"""Retrain: pairs, challengers, a choice, a space beside the old one, the gate, and where it is passed a release."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import polars as pl

from flows.build import Built, publish_built, stage_space
from flows.config.schema import Config
from flows.context import opened
from flows.loop import DRIFT, barred
from flows.rerankers import adopted, keep_champion, trained, with_reranker
from flows.run import Run, recorded
from flows.switch import PATIENCE, embed_beside, on_current
from flows.table import Option
from models.encoder import EncoderFolder, resolve
from models.errors import ModelError
from models.training.recipe import Recipe
from storage.errors import InputError
from storage.lock import alone_in
from storage.outcome import Outcome
from storage.reader import Reader
from storage.tables.releases import Release, Releases
from storage.tables.runs import new_run
from storage.tables.store import Store
from tasks.context import Context
from tasks.learn.challenge import Side, Trial, held_back, trial
from tasks.learn.harden import harden
from tasks.learn.judged import question_sets
from tasks.learn.lesson import enough, held_back_pairs, lay_out
from tasks.learn.pair import pair
from tasks.learn.pool import choose
from tasks.learn.questions import QuestionSet, Split
from tasks.learn.record import record_trial
from tasks.learn.register import register
from tasks.learn.report import Report, RetrainResult
from tasks.learn.subject import Subject
from tasks.learn.synthesise import generator_of, synthesise
from tasks.learn.train import clear_trainings, cross_folders, fine_tune, recipe_of, training_folder, trainings
from tasks.progress import Progress, Silent
from tasks.release.publish import clean_up
from tasks.release.serving import described, kept_encoder
from tasks.verdict import Refused

__all__ = ["RetrainResult", "retrain"]


def retrain(
    config: Config,
    *,
    yes: bool = False,
    minutes: Annotated[float | None, Option(metavar="M")] = None,
    proposed: bool = False,
    trigger: str = "manual",
    console: Progress | None = None,
) -> RetrainResult:
    """Train a better encoder from the release's own documents, and publish it if the gate lets it pass.

    While it trains and embeds, readers and nights go on. A killed run goes on where it was when it is started again.

    Args:
        config: The configuration.
        yes: Approve beforehand of publishing what passes the gate, where learning.approval asks for a person.
        minutes: Budget of training, instead of learning.minutes.
        proposed: It is an alarm that asks, not a person: do nothing within drift.retrain_days of the last such one, or
            while somebody holds the store.
        trigger: Who started it, for the record.
        console: Where it says how far it is.

    Raises:
        InputError: Nothing is published yet, or judged questions are wrong; nothing was recorded.
        ModelError: The encoder cannot be trained.
        LeaseHeld: Another retraining of the store is at work, or another run held the store for too long; what was
            trained and embedded is kept.
    """
    progress, name, store = console or Silent(), new_run(), Store(config.store.uri)
    if minutes is not None and minutes <= 0:
        raise InputError(f"{minutes} minutes of training: give more than 0")
    configured = resolve(config.encoder, config.base)
    recipe = recipe_of(config.learning).model_copy(update={} if minutes is None else {"minutes": minutes})
    report = Report()
    with opened(config, f"stage-retrain-{name}", progress, sources=False) as unbound:
        _trainable(store, Releases(store).get(), config)  # wrong input is told before anything is written
        refusal = f"{store.uri}: another retraining of this store is at work on this machine; wait until it ends"
        with (
            alone_in(trainings(store), refusal),
            recorded(
                store,
                "retrain",
                config=config,
                trigger=DRIFT if proposed else trigger,
                progress=progress,
                lease=False,
                run=name,
            ) as run,
        ):
            wait = barred(store, config, run.started) if proposed else None
            if wait is not None:
                run.conclude(Outcome.UNCHANGED, f"an alarm proposed a retraining, and {wait}", Releases(store).newest())
            else:
                unbound.workspace.succeed("stage-retrain-*")  # of those that were killed
                _retrain(replace(unbound, run=name), configured, recipe, config, run, report, yes=yes)
    return RetrainResult(
        run=run.id,
        release=run.release,
        outcome=run.outcome,
        base=run.base,
        challengers=report.challengers(),
        seconds=run.clock.total(),
        message=run.message,
        report=report.to_dict(),
        rerankers=report.rerankers,
    )


def _trainable(store: Store, base: Release, config: Config) -> None:
    """Look at what can be known to be wrong before anything begins.

    Raises:
        InputError: A judged file is malformed.
        ModelError: The encoder is a stub.
    """
    _sets(config, "train", "dev", "test")
    champion = kept_encoder(store, base.space, config.encoder)
    if champion.space.stub:
        raise ModelError(
            f"release {base.seq} has the encoder {champion.space.name}, a stub, which has nothing to train; name a "
            "real one under [encoder] and refresh, or `tidemark reembed --encoder NAME`"
        )


def _retrain(
    context: Context,
    configured: EncoderFolder,
    recipe: Recipe,
    config: Config,
    run: Run,
    report: Report,
    *,
    yes: bool,
) -> None:
    context, base = on_current(context, run)
    champion = kept_encoder(context.store, base.space, config.encoder)
    run.facts["model"] = described(context.store, base, champion, configured).to_dict()
    crosses = adopted(context, config)
    version = _challenged(context, base, champion, recipe, config, run, report)
    crosses |= trained(context, base, champion, version, recipe.minutes, config, run, report)
    if report.missed:
        # Trying re-rankers takes minutes: nights go on meanwhile, and only the record wants the lease.
        keep_champion(context, base, champion, crosses, config, run, report, report.missed, yes=yes)
        with run.clock.stage("wait"):
            run.hold(PATIENCE)
        register(context, report, base, configured)
        return
    challenger = report.chosen.encoder
    embed_beside(context, challenger, config, run)
    with run.clock.stage("wait"):
        run.hold(PATIENCE)
    context, base = on_current(context, run)  # nights may have published meanwhile
    if base.space != champion.space.id:
        raise Refused(
            f"release {base.seq}, which was published meanwhile, has another encoder than the one that was trained "
            "from: start again, from that one"
        )
    with run.clock.stage("register"):
        register(context, report, base, configured)
    record = described(context.store, base, challenger, configured)
    built = stage_space(context, challenger, record, config, run)
    with run.clock.stage("gate"):
        report.trial = _judged(context, base, champion, challenger, built, config, report)
        asks = config.learning.approval and not yes
        record_trial(context, report.trial, base, challenger.space.id, goes_on=not asks)
    run.counts = built.counts | report.trial.counts
    register(context, report, base, configured)
    if not report.trial.promotion.passes:
        reasons = report.trial.promotion.reasons
        keep_champion(context, base, champion, crosses, config, run, report, reasons, yes=yes)
        return
    built = with_reranker(context, challenger, built, crosses, config, run, report)
    _conclude(context, challenger, built, report.trial, config, run, yes=yes)


def _challenged(
    context: Context,
    base: Release,
    champion: EncoderFolder,
    recipe: Recipe,
    config: Config,
    run: Run,
    report: Report,
) -> int:
    """Train challengers and choose one; returns the data version of the pairs. What judges later has no part in it."""
    clock, test = run.clock, _sets(config, "test")
    if config.learning.generator is not None and "synthetic" in config.learning.pairs.kinds:
        with clock.stage("generate"), generator_of(config.learning.generator, config.base) as generator:
            report.written = synthesise(context, base, generator, config.learning.generator)
    with clock.stage("pair"):
        report.pairs = pair(
            context, base, config.learning.pairs, judged=_sets(config, "train", "dev", "test"), base=config.base
        )
    version, run.facts["data"] = report.pairs.version, report.data
    with clock.stage("lay_out"):
        lesson = lay_out(context, base, version, [each for each in _sets(config, "dev") if each.role == "target"])
        report.held = held_back_pairs(context, version, "test")
        enough(lesson, report.held, test)
    if recipe.negatives:
        with clock.stage("mine"):
            lesson = harden(context, base, champion, lesson, version, recipe.negatives)
    report.lesson = lesson
    run.facts["data"] = report.data
    looks = lesson.pool.looks()
    seen = "" if looks is None else looks.digest
    folder = training_folder(context.store, champion, lesson.identity, seen, recipe)
    with clock.stage("train"):
        clear_trainings(context.store, [folder, *cross_folders(context.store)])
        examples = pl.scan_parquet(lesson.examples)
        report.training = fine_tune(
            champion, examples, looks, recipe, folder, context.progress, context.workspace.touch
        )
    with clock.stage("choose"):
        margin = config.quality.max_forgetting  # what the other may forget more, it must be better by
        report.choice = choose(lesson.pool, champion, report.training.challengers, margin, context.progress)
    return version


def _judged(
    context: Context,
    base: Release,
    champion: EncoderFolder,
    challenger: EncoderFolder,
    built: Built,
    config: Config,
    report: Report,
) -> Trial:
    """Measure both on questions that neither was trained on nor chosen by, and hold them against the bars."""
    sets = _sets(config, "test")
    pools = {} if report.held is None else held_back(report.held, sets)
    first = Side(Subject.of(Reader(context.store, base)), champion, champion.open())
    second = Side(Subject.drafted(context.store, built.tables, built.role), challenger, challenger.open())
    return trial(first, second, sets, pools, config.quality, context.progress)


def _conclude(
    context: Context, challenger: EncoderFolder, built: Built, found: Trial, config: Config, run: Run, *, yes: bool
) -> None:
    """Publish what passed, where a person approved or none is asked."""
    gain = found.promotion.bars[0].message
    if built.reranker is not None:
        gain += f"; with the re-ranker {built.reranker.encoder.name}"
    if config.learning.approval and not yes:
        told = f"{gain}; it passes the gate and waits for approval: `tidemark retrain --yes` publishes it"
        run.conclude(Outcome.NEEDS_APPROVAL, told, run.base)
    else:
        release = publish_built(context, challenger, config, run, built, gain)
        run.conclude(Outcome.PUBLISHED, f"release {release.seq} is published: {gain}", release.seq)
        with run.clock.stage("clean_up"):
            clean_up(context.store, config.releases, built.role.space)
            clear_trainings(context.store)


def _sets(config: Config, *splits: Split) -> list[QuestionSet]:
    return [each for split in splits for each in question_sets(config.evaluation, config.base, split)]
