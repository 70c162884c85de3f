"""Shorter vectors: the release's own encoder with fewer dimensions, its stored vectors mapped, judged and published."""

from __future__ import annotations

from flows.build import Built, publish_built, stage_space
from flows.config.schema import Config
from flows.run import Run
from flows.switch import PATIENCE, embed_beside, on_current
from models.encoder import EncoderFolder
from storage.errors import InputError
from storage.outcome import Outcome
from storage.reader import Reader
from storage.tables.models import ModelRecord
from storage.tables.releases import Release
from tasks.build.shorten import shorten
from tasks.context import Context
from tasks.learn.judged import question_sets
from tasks.learn.questions import QuestionSet
from tasks.learn.shorter import Shorter, judge_shorter
from tasks.learn.subject import Subject
from tasks.release.model import keep_model
from tasks.release.publish import clean_up
from tasks.release.serving import described, kept_encoder

__all__ = ["judges", "shorten_release"]


def judges(config: Config) -> list[QuestionSet]:
    """The test questions that tell what shorter vectors lose.

    Raises:
        InputError: There are none.
    """
    found = question_sets([each for each in config.evaluation if each.role == "target"], config.base, "test")
    if not found:
        raise InputError(
            "reembed --dimensions: no target set has test questions, so nothing would tell what shorter vectors lose; "
            "name judged questions in [[evaluation]]"
        )
    return found


def shorten_release(context: Context, configured: EncoderFolder, dimension: int, config: Config, run: Run) -> str:
    """Publish what the release holds in fewer dimensions, if that loses no more than `quality.max_compression_loss`.

    Args:
        context: The run, not on top of a release yet.
        configured: The encoder of the configuration, with which the line begins.
        dimension: Length of the new vectors.
        config: The configuration.
        run: It takes the lease once the vectors are there.

    Returns:
        The space that readers would have.

    Raises:
        Refused: They lose more, or the audit failed.
    """
    context, base = on_current(context, run)
    champion = kept_encoder(context.store, base.space, config.encoder)
    run.facts["model"] = described(context.store, base, champion, configured).to_dict()
    if champion.space.dimension == dimension:
        run.conclude(Outcome.UNCHANGED, f"release {base.seq} has vectors of {dimension} dimensions already", base.seq)
        return base.space
    with run.clock.stage("shorten"):
        shorter = shorten(context, base, champion, dimension).encoder
    embed_beside(context, shorter, config, run)
    with run.clock.stage("wait"):
        run.hold(PATIENCE)
    context, base = on_current(context, run)  # nights may have published meanwhile
    if base.space != champion.space.id:
        told = f"release {base.seq} has another encoder than the one that was shortened: start the run again"
        run.conclude(Outcome.REFUSED, told, base.seq)
        return base.space
    _register(context, base, shorter, configured, None)
    record = described(context.store, base, shorter, configured)
    built = stage_space(context, shorter, record, config, run)
    run.counts, run.causes = built.counts, built.causes
    with run.clock.stage("gate"):
        found = _judged(context, base, champion, shorter, built, config)
    _register(context, base, shorter, configured, found)
    found.verdict.enforce()
    release = publish_built(context, shorter, config, run, built, found.message)
    run.conclude(Outcome.PUBLISHED, f"release {release.seq} is published: {found.message}", release.seq)
    with run.clock.stage("clean_up"):
        clean_up(context.store, config.releases, shorter.space.id)
    return shorter.space.id


def _register(
    context: Context, base: Release, shorter: EncoderFolder, configured: EncoderFolder, found: Shorter | None
) -> None:
    """Keep the shorter encoder, which nights go on with, and what was measured of it."""
    record = ModelRecord(
        space=shorter.space.id,
        name=shorter.space.name,
        parent=base.space,
        root=base.text.encoder.root or configured.space.id,
        created=context.now,
        run=context.run,
        recipe={"dimensions": shorter.space.dimension, "method": "uncentred SVD of the stored vectors"},
        data={"documents": base.tables["documents"]},
        metrics={} if found is None else found.to_dict(),
    )
    keep_model(context.store, context.workspace, shorter, record)


def _judged(
    context: Context, base: Release, champion: EncoderFolder, shorter: EncoderFolder, built: Built, config: Config
) -> Shorter:
    first = Subject.of(Reader(context.store, base)), champion.open()
    second = Subject.drafted(context.store, built.tables, built.role), shorter.open()
    return judge_shorter((first, second), judges(config), config.quality, context.progress)
