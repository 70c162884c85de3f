"""What a night watches beside what arrived: what was asked, what the encoder gives, and how well it answers."""

from __future__ import annotations

from dataclasses import dataclass

from flows.build import Built
from flows.config.schema import Config
from flows.run import Run
from models.encoder import EncoderFolder
from tasks.context import Context
from tasks.learn.floors import Floors
from tasks.watch.canary import CanaryResult
from tasks.watch.figures import Figure
from tasks.watch.gather import watch_queries
from tasks.watch.quality import measure_own, measure_quality

__all__ = ["Beside", "beside"]


@dataclass(frozen=True)
class Beside:
    """Figures of other families, to be judged and kept with those of the data.

    Attributes:
        figures: The figures.
        notes: What could not be watched and why, one line each.
    """

    figures: tuple[Figure, ...] = ()
    notes: tuple[str, ...] = ()


def beside(
    context: Context,
    encoder: EncoderFolder,
    config: Config,
    run: Run,
    sung: CanaryResult,
    built: Built | None = None,
    floors: Floors | None = None,
) -> Beside:
    """Gather what a night watches beside its data.

    Args:
        context: The run, which holds the lease.
        encoder: The encoder of the night.
        config: What is watched.
        run: Its clock times the stages.
        sung: What the canaries said.
        built: What is about to be published; None where the night ends before.
        floors: What was measured of it; None where it has no golden questions.
    """
    figures, notes = list(sung.figures), list[str]()
    if config.drift.queries and context.base is not None:
        with run.clock.stage("queries"):
            asked = watch_queries(context.store, context.base, encoder, config.queries, config.base, context.now)
        figures += asked.measured.figures
        notes += asked.notes
    if config.drift.quality and built is not None:
        if floors is None:
            with run.clock.stage("evaluate"):
                own = measure_own(context, encoder, built.tables, built.role, config.quality)
            floors = own.floors
            notes.append(own.note)
        if floors is not None:
            figures += measure_quality(floors.evaluation, floors.since, built.role, config.quality)
    return Beside(tuple(figures), tuple(notes))
