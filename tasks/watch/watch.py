"""Watch a night: measure what it brought, judge it against its history, keep the figures, tell the alarms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from storage.tables.drift import Drift
from storage.tables.nights import Nights, NightSums
from storage.tables.store import Store
from tasks.stage import stage
from tasks.watch.config import DriftConfig
from tasks.watch.data import measure_data
from tasks.watch.embeddings import NAME, EmbeddingsResult, Sample, classified, measure_embeddings, sample
from tasks.watch.figures import DriftResult, Family, Figure, Judged
from tasks.watch.history import history, rows_of
from tasks.watch.judge import judge
from tasks.watch.night import Night

__all__ = ["drift", "waiting", "watch"]

NOTHING = EmbeddingsResult((), ())


def watch(
    store: Store,
    night: Night,
    config: DriftConfig,
    *,
    maker: str | None = None,
    release: int | None = None,
    more: Sequence[Figure] = (),
    notes: Sequence[str] = (),
) -> DriftResult:
    """Measure a night, judge its figures against the nights before, and keep them.

    Args:
        store: The store.
        night: What the night brought.
        config: What is watched, and the thresholds.
        maker: The run that made the release that the night is about; the night's own run if None.
        release: That release; None where it has no number yet, or never will.
        more: Figures of other families, measured elsewhere, to be judged and kept with these.
        notes: What could not be measured there and why, one line each.
    """
    past = [each for each in history(store, config) if each.created < night.now]
    kept, figures = Nights(store), list[Figure]()
    if config.data:
        known = kept.vocabulary(night.arrivals["source"].unique()) if night.arrivals.height else {}
        found, words = measure_data(night, known, past, config)
        figures += found
        if night.table is not None:  # a night that wrote nothing brings the same words again
            kept.learn(night.run, words)
    drawn, seen = None, NOTHING
    if config.embeddings and night.table is not None:
        drawn = sample(night, config.sample)
    if drawn is not None and drawn.documents:
        before = [sums for sums in kept.last(night.space, config.nights) if sums.created < night.now]
        centres = kept.cells(night.space)
        seen = measure_embeddings(drawn, night, before, centres, config)
        figures += seen.figures
        if seen.centres is not None:
            kept.fix(night.space, seen.centres, night.now)
        kept.add(seen.sums, keep=2 * config.nights)
    judged = judge([*figures, *more], past, config)
    if drawn is not None and any(_explained(each) for each in judged):
        judged = tuple(_classified(each, drawn, before) if _explained(each) else each for each in judged)
    rows = rows_of(judged, run=night.run, maker=maker or night.run, release=release, now=night.now)
    Drift(store).add(rows)
    return DriftResult(release, judged, (*notes, *waiting(judged, len(past), config)))


# Watching is what `tidemark drift` does too, outside a night; in one it is a stage. An alarm is news and stops nothing.
drift = stage(watch, "drift")


def _explained(judged: Judged) -> bool:
    """Whether people are owed more of a figure than the figure: only then the classifier is asked."""
    return judged.over and judged.figure.family is Family.EMBEDDINGS and judged.figure.name == NAME


def _classified(judged: Judged, drawn: Sample, before: Sequence[NightSums]) -> Judged:
    return replace(judged, figure=classified(judged.figure, drawn, before))


def waiting(judged: Sequence[Judged], past: int, config: DriftConfig) -> tuple[str, ...]:
    """Say how many figures are not judged yet, if any.

    Args:
        judged: The figures of a night.
        past: Nights before it.
        config: How many it takes.
    """
    count = sum(each.band is None for each in judged)
    if not count:
        return ()
    return (
        f"{count} of {len(judged)} figures have too short a history to be judged: they need {config.least_nights} "
        f"nights before them, and have {past}",
    )
