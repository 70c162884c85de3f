"""What a night watches beside what arrived: what was asked, what the encoder gives, and how well it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flows.config.schema import Config
from flows.run import Run
from models.encoder import EncoderFolder
from tasks.context import Context
from tasks.learn.floors import Floors
from tasks.watch.canary import CanaryResult
from tasks.watch.figures import Figure
from tasks.watch.gather import watch_queries
from tasks.watch.night import Night
from tasks.watch.quality import measure_own, measure_quality
from tasks.watch.watch import drift

if TYPE_CHECKING:
    from flows.build import Built

__all__ = ["Beside", "beside", "keep_watch"]


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


def keep_watch(
    context: Context,
    night: Night,
    config: Config,
    run: Run,
    others: Beside,
    *,
    maker: str | None = None,
    release: int | None = None,
) -> str:
    """Watch the night, put what it says into the record, and give the end of the run's message where it alarms.

    Args:
        context: The run, which holds the lease.
        night: What it brought.
        config: What is watched.
        run: Its clock times the stage.
        others: What was measured beside.
        maker: The run that made the release that the night is about; the night's own run if None.
        release: That release; None where it has no number yet, or never will.
    """
    more, notes = others.figures, others.notes
    with run.clock.stage("drift"):
        found = drift(context.store, night, config.drift, maker=maker, release=release, more=more, notes=notes)
    told = found.counts | {"message": found.message, "notes": list(found.notes)}
    run.facts.setdefault("data", {})["drift"] = told
    return f"; {found.message}" if found.alarms else ""
