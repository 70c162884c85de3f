"""The half of a refresh that has news: build, measure and watch it, publish it as the next release, clean up."""

from __future__ import annotations

from collections.abc import Callable

from flows.build import build, hold_floors, publish_built
from flows.config.schema import Config
from flows.run import Run
from flows.watching import beside, keep_watch
from models.encoder import EncoderFolder
from storage.outcome import Outcome
from storage.tables.roles import EncoderRecord
from tasks.context import Context
from tasks.release.publish import clean_up
from tasks.verdict import Refused
from tasks.watch.canary import CanaryResult, remember
from tasks.watch.night import Night
from tasks.work import Work

__all__ = ["renew"]


def renew(
    context: Context,
    encoder: EncoderFolder,
    record: EncoderRecord,
    config: Config,
    run: Run,
    work: Work,
    brought: Callable[..., Night],
    sung: CanaryResult,
    notes: str = "",
) -> None:
    """Make what was prepared the next release, and conclude the run.

    Args:
        context: The run, which holds the lease.
        encoder: What embeds.
        record: What the release will say of it.
        config: The configuration.
        run: Its clock times the stages.
        work: What was prepared, and passed the gate.
        brought: Gives what of it is watched, with a row of every new chunk, at the version that was written.
        sung: What the canaries said.
        notes: What the message of the run is to say beside.

    Raises:
        Refused: The audit failed, vectors of fewer bits lose too much, or the release answers too badly.
    """
    remember(context, encoder.space, sung, published=False)
    try:
        built = build(context, encoder, record, config, run, work)
    except Refused:
        keep_watch(context, brought(), config, run, beside(context, encoder, config, run, sung))
        raise
    floors = hold_floors(context, encoder, config, run, built)
    others = beside(context, encoder, config, run, sung, built, floors)
    notes += keep_watch(context, brought(built.role.version), config, run, others)
    release = publish_built(context, encoder, config, run, built, floors=floors)
    smaller = "" if built.smaller is None else f"; {built.smaller.message}"
    run.conclude(Outcome.PUBLISHED, f"release {release.seq} is published{notes}{smaller}", release.seq)
    remember(context, encoder.space, sung, published=True)
    with run.clock.stage("clean_up"):
        clean_up(context.store, config.releases, encoder.space.id)
