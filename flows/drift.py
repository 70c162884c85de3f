"""Tell what moved: the figures of the last night beside their history, or what the kept history would have alarmed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any

from flows.config.schema import Config
from flows.run import recorded
from flows.table import Option
from storage.counts import plural
from storage.outcome import Outcome
from storage.tables.drift import Drift
from storage.tables.releases import Release, Releases
from storage.tables.store import Store
from tasks.progress import Progress
from tasks.watch.config import DriftConfig
from tasks.watch.figures import DriftResult
from tasks.watch.history import nights_of
from tasks.watch.judge import PastNight, replay
from tasks.watch.night import night_of_release
from tasks.watch.watch import waiting, watch

__all__ = ["Backtest", "ReplayedNight", "drift"]


@dataclass(frozen=True)
class ReplayedNight:
    """What a night would have told.

    Attributes:
        run: The run.
        created: When.
        result: Its figures as they would have been judged.
    """

    run: str
    created: datetime
    result: DriftResult

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able values."""
        return {"run": self.run, "created": self.created, **self.result.to_dict()}


@dataclass(frozen=True)
class Backtest:
    """What the kept history would have alarmed, and when.

    Attributes:
        nights: Oldest first.
    """

    nights: tuple[ReplayedNight, ...]

    @property
    def outcome(self) -> Outcome:
        """Passed: it only looks back."""
        return Outcome.PASSED

    @property
    def message(self) -> str:
        """One line for people."""
        alarms = sum(len(night.result.alarms) for night in self.nights)
        nights = len(self.nights)
        return f"{plural(alarms, 'alarm')} in {plural(nights, 'night')}"

    def to_dict(self) -> list[dict[str, Any]]:
        """As JSON-able values: one entry a night."""
        return [night.to_dict() for night in self.nights]


def drift(
    config: Config,
    *,
    strict: bool = False,
    backtest: bool = False,
    nights: Annotated[int | None, Option(metavar="N")] = None,
    least_nights: Annotated[int | None, Option(metavar="N")] = None,
    factor: Annotated[float | None, Option(metavar="X")] = None,
    at_once: Annotated[float | None, Option(metavar="X")] = None,
    alarm_after: Annotated[int | None, Option(metavar="N")] = None,
    of_nights: Annotated[int | None, Option(metavar="N")] = None,
    cool_down: Annotated[int | None, Option(metavar="N")] = None,
    trigger: str = "manual",
    console: Progress | None = None,
) -> DriftResult | Backtest:
    """Tell what moved: data, vectors, questions, encoder and quality of the last night, each beside its history.

    Args:
        config: The configuration.
        strict: End with exit code 5 where an alarm stands.
        backtest: Replay the kept nights instead, and tell what would have been an alarm, and when.
        nights: Nights of history, in place of drift.nights.
        least_nights: Nights of history without which nothing is judged, in place of drift.least_nights.
        factor: Median deviations that are unusual, in place of drift.factor.
        at_once: Times as far out as the limit that are an alarm in the first night, in place of drift.at_once.
        alarm_after: Unusual nights that make an alarm, in place of drift.alarm_after.
        of_nights: Among so many nights, in place of drift.of_nights.
        cool_down: Nights for which an alarm is not repeated, in place of drift.cool_down.
        trigger: Who started it, for the record.
        console: Where it says how far it is.

    Raises:
        InputError: There is no release, or a later version of the program made the store.
        LeaseHeld: The store is of an older format, and another run migrates it right now.
    """
    given = {
        "nights": nights,
        "least_nights": least_nights,
        "factor": factor,
        "at_once": at_once,
        "alarm_after": alarm_after,
        "of_nights": of_nights,
        "cool_down": cool_down,
    }
    asked = config.drift.given({name: value for name, value in given.items() if value is not None})
    store = Store(config.store.uri)
    with recorded(store, "drift", config=config, trigger=trigger, progress=console, lease=False) as run:
        found = Releases(store).get()
        run.base = found.seq
        with run.clock.stage("drift"):
            result = _replayed(store, asked) if backtest else _current(store, found, asked, strict=strict)
        run.conclude(result.outcome, result.message, found.seq)
    return result


def _replayed(store: Store, config: DriftConfig) -> Backtest:
    told = replay(nights_of(Drift(store).all()), config)
    return Backtest(
        tuple(ReplayedNight(night.run, night.created, DriftResult(night.release, night.figures)) for night in told)
    )


def _current(store: Store, release: Release, config: DriftConfig, *, strict: bool) -> DriftResult:
    """The last night of a release under the thresholds; where it was not watched, what its tables still tell."""
    origin = _origin(store, release)
    nights = nights_of(Drift(store).all())
    if _last(nights, origin) is None:
        found = watch(store, night_of_release(store, origin), config, release=origin.seq)
        return replace(found, release=release.seq, strict=strict)
    past = replay(nights, config)
    told = _last(past, origin)
    # An alarm stands for as long as what it is about is as unusual, also in the nights in which it is not repeated.
    figures = () if told is None else tuple(replace(each, alarm=each.alarm or each.told) for each in told.figures)
    before = 0 if told is None else past.index(told)
    return DriftResult(release.seq, figures, waiting(figures, before, config), strict=strict)


def _last(nights: Sequence[PastNight], release: Release) -> PastNight | None:
    return next((night for night in reversed(nights) if night.maker == release.run), None)


def _origin(store: Store, release: Release) -> Release:
    """The release that brought the documents: a rollback brought none."""
    while release.restored is not None:
        release = Releases(store).get(release.restored)
    return release
