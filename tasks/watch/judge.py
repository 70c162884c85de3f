"""Judge figures against their own history: a robust band, hysteresis, cool-down, and one alarm an event."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np

from tasks.watch.config import DriftConfig
from tasks.watch.figures import Band, Family, Figure, Judged
from tasks.watch.rules import Rule, rule_of

__all__ = ["PastNight", "band_of", "judge", "replay"]

Key = tuple[Any, ...]


@dataclass(frozen=True)
class PastNight:
    """What an earlier night measured, and what was said of it then.

    Attributes:
        run: The run.
        maker: The run that made the release that it is about.
        release: That release; None where the night published nothing.
        created: When.
        figures: Its figures as they were judged.
    """

    run: str
    maker: str
    release: int | None
    created: datetime
    figures: tuple[Judged, ...]

    @cached_property
    def by_key(self) -> dict[Key, Judged]:
        """Key with space to figure."""
        return {_key(each.figure): each for each in self.figures}

    def find(self, figure: Figure) -> Judged | None:
        """The night's figure of the same key and space."""
        return self.by_key.get(_key(figure))


def judge(figures: Sequence[Figure], history: Sequence[PastNight], config: DriftConfig) -> tuple[Judged, ...]:
    """Judge a night's figures.

    A figure is *over* where it lies beyond the median of its history by `factor` median deviations and beyond every
    night of the history. That is an alarm at once where it is `at_once` times as far out, else after `alarm_after` of
    `of_nights` nights. Of one source and family only the figure that is furthest out is an alarm: one event, one
    message. What was told is not told again during the cool-down.

    Args:
        figures: What the night measured.
        history: The nights before it, oldest first.
        config: The thresholds.

    Returns:
        The figures in their order, each beside its band.
    """
    judged = [_judged(figure, history, config) for figure in figures]
    return tuple(_one_an_event(_cooled(judged, history, config)))


def replay(nights: Sequence[PastNight], config: DriftConfig) -> list[PastNight]:
    """Judge nights again, each against those before it, as if these thresholds had held all along.

    Args:
        nights: Oldest first; what was said of them is ignored.
        config: The thresholds.
    """
    told: list[PastNight] = []
    for night in nights:
        judged = judge([each.figure for each in night.figures], told, config)
        told.append(replace(night, figures=judged))
    return told


def band_of(usual: Sequence[float], figure: Figure, rule: Rule, config: DriftConfig) -> Band | None:
    """What the history of a figure says is usual, on the side on which the figure lies.

    The limit is the median plus `factor` times the spread, where the spread joins the median absolute deviation of the
    nights with the standard error of the figure itself, and never nearer than the least change that matters or than
    the highest of the history (Hampel's rule, with the record of the nights beside it).

    Args:
        usual: The figure in the nights of its history, in any order.
        figure: Tonight's.
        rule: How it is judged.
        config: The thresholds.

    Returns:
        The band; None where the history is too short.
    """
    if rule.fixed is not None:
        return Band(len(usual), rule.fixed, 0.0, rule.fixed, rule.fixed)
    if len(usual) < config.least_nights:
        return None
    middle = float(np.median(usual))
    median = rule.scaled(middle)
    mad = float(np.median([abs(rule.scaled(value) - median) for value in usual]))
    side = _side(rule, rule.scaled(figure.value), median)
    extreme = max(usual) if side > 0 else min(usual)
    width = max(config.factor * math.hypot(mad, figure.error), rule.least, abs(rule.scaled(extreme) - median))
    return Band(len(usual), middle, mad, extreme, rule.unscaled(median + side * width))


def _side(rule: Rule, value: float, median: float) -> int:
    """1 where a figure is judged above the median, -1 below."""
    if rule.sides == "both":
        return 1 if value >= median else -1
    return 1 if rule.sides == "above" else -1


def _judged(figure: Figure, history: Sequence[PastNight], config: DriftConfig) -> Judged:
    rule = rule_of(figure)
    band = band_of(_usual(figure, history, config), figure, rule, config)
    if band is None:
        return Judged(figure, None, advice=rule.advice)
    strength = _strength(figure, band, rule)
    over = strength > 1
    recent = history[-(config.of_nights - 1) :] if config.of_nights > 1 else ()
    before = sum(past.over for past in (night.find(figure) for night in recent) if past is not None)
    nights = before + over
    at_once = config.at_once if rule.at_once is None or figure.source else rule.at_once
    often = strength >= at_once or nights >= config.alarm_after or rule.fixed is not None
    return Judged(figure, band, over, over and often, nights, rule.advice, strength)


def _strength(figure: Figure, band: Band, rule: Rule) -> float:
    """How far out a figure is: 0 at the median, 1 at the limit; below 0 on the side that does not matter."""
    median, limit = rule.scaled(band.median), rule.scaled(band.limit)
    if rule.fixed is not None:
        return math.inf if figure.value > rule.fixed else 0.0
    width = abs(limit - median)
    gap = (rule.scaled(figure.value) - median) * _side(rule, rule.scaled(figure.value), median)
    return gap / width if width else (math.inf if gap > 0 else 0.0)


def _usual(figure: Figure, history: Sequence[PastNight], config: DriftConfig) -> list[float]:
    """The figure in the last nights that count.

    A night that published nothing is measured again with the next one, so it does not count. An unusual night counts
    only once the cool-down is over: else the second night of a shift would hide behind the first.
    """
    values = []
    for back, night in enumerate(reversed(history), start=1):
        past = night.find(figure) if night.release is not None else None
        if past is not None and not (past.over and back <= config.cool_down):
            values.append(past.figure.value)
        if len(values) == config.nights:
            break
    return values


def _cooled(judged: Sequence[Judged], history: Sequence[PastNight], config: DriftConfig) -> Iterator[Judged]:
    """Take the alarms back of which somebody was told: with this figure, or with another of the same event."""
    recent = history[-config.cool_down :] if config.cool_down else ()
    told = {
        _key(past.figure)
        for night in recent
        for past in night.figures
        if past.over and any(other.alarm and _event(other) == _event(past) for other in night.figures)
    }
    for each in judged:
        known = each.alarm and _key(each.figure) in told
        yield replace(each, alarm=each.alarm and not known, told=known)


def _one_an_event(judged: Iterator[Judged]) -> list[Judged]:
    """Keep of each event the alarm that is furthest out, and name in its advice what moved with it."""
    listed = list(judged)
    first: dict[tuple[Key, bool], Judged] = {}
    for each in sorted((each for each in listed if each.alarm or each.told), key=lambda each: -each.strength):
        first.setdefault((_event(each), each.told), each)
    kept = {id(each) for each in first.values()}
    return [
        _with_others(each, listed) if id(each) in kept else replace(each, alarm=False, told=False) for each in listed
    ]


def _with_others(judged: Judged, listed: Sequence[Judged]) -> Judged:
    event = _event(judged)
    beside = [_named(each.figure) for each in listed if each.over and each is not judged and _event(each) == event]
    return replace(judged, advice=judged.advice + (f" (with it: {', '.join(beside)})" if beside else ""))


def _event(judged: Judged) -> Key:
    """What counts as one event: a source's data; all vectors, since the whole moves with a source; else a figure."""
    figure = judged.figure
    if figure.family is Family.DATA:
        return figure.family, figure.source
    return (figure.family,) if figure.family is Family.EMBEDDINGS else _key(figure)


def _named(figure: Figure) -> str:
    return figure.name if figure.source is None else f"{figure.name} of {figure.source}"


def _key(figure: Figure) -> Key:
    return figure.family, figure.name, figure.source, figure.space
