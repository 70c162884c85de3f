"""What a history says is usual, and what becomes an alarm."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.watch.config import DriftConfig
from tasks.watch.figures import Family, Figure, Judged
from tasks.watch.judge import PastNight, band_of, judge, replay
from tasks.watch.rules import Rule, rule_of

CONFIG = DriftConfig(nights=8, least_nights=4, of_nights=3, alarm_after=2, cool_down=4)
START = datetime(2026, 1, 1, 2, tzinfo=UTC)
PLAIN = Rule("look")
VALUES = st.floats(-100, 100)
HISTORY = st.lists(VALUES, min_size=4, max_size=8)


def figure(value: float, name: str = "refused", source: str | None = "notes", error: float = 0.0) -> Figure:
    return Figure(Family.DATA, name, value, source, error=error)


def night(number: int, *figures: Figure, release: bool = True) -> PastNight:
    made = f"run{number:03d}"
    judged = tuple(Judged(each, None) for each in figures)
    return PastNight(made, made, number if release else None, START + timedelta(days=number), judged)


def told(*values: float, name: str = "refused", config: DriftConfig = CONFIG) -> list[Judged]:
    """The figure of each night as it is judged."""
    nights = replay([night(at, figure(value, name)) for at, value in enumerate(values)], config)
    return [each.figures[0] for each in nights]


@settings(deadline=None, max_examples=50)
@given(HISTORY, VALUES, VALUES)
def test_what_is_further_out_is_never_less_unusual(history: list[float], a: float, b: float) -> None:
    low, high = sorted((a, b))
    nights = [night(at, figure(value)) for at, value in enumerate(history)]
    lesser, greater = (judge([figure(value)], nights, CONFIG)[0] for value in (low, high))
    assert lesser.strength <= greater.strength
    assert lesser.over <= greater.over


@settings(deadline=None, max_examples=50)
@given(HISTORY.flatmap(lambda values: st.tuples(st.just(values), st.permutations(values))), VALUES)
def test_the_order_of_the_nights_does_not_matter(values: tuple[list[float], list[float]], tonight: float) -> None:
    first, second = (band_of(each, figure(tonight), PLAIN, CONFIG) for each in values)
    assert first == second


@settings(deadline=None, max_examples=50)
@given(st.lists(VALUES, min_size=8, max_size=8), st.lists(VALUES, max_size=20), VALUES)
def test_what_is_older_than_the_history_does_not_matter(recent: list[float], old: list[float], tonight: float) -> None:
    def band(values: list[float]) -> object:
        return judge([figure(tonight)], [night(at, figure(v)) for at, v in enumerate(values)], CONFIG)[0].band

    assert band(recent) == band([*old, *recent])


@settings(deadline=None, max_examples=50)
@given(HISTORY)
def test_a_night_like_one_before_is_never_unusual(history: list[float]) -> None:
    nights = [night(at, figure(value)) for at, value in enumerate(history)]
    assert not any(judge([figure(value)], nights, CONFIG)[0].over for value in history)


@settings(deadline=None, max_examples=50)
@given(HISTORY, VALUES, st.floats(0, 5))
def test_a_figure_of_few_has_a_wider_band(history: list[float], tonight: float, error: float) -> None:
    sure, unsure = (band_of(history, figure(tonight, error=each), PLAIN, CONFIG) for each in (0.0, error))
    assert sure is not None and unsure is not None
    assert sure.limit <= unsure.limit


def test_the_band_is_that_of_the_method() -> None:
    found = band_of([1, 2, 3, 4, 100], figure(5), PLAIN, DriftConfig(least_nights=4, factor=4))
    assert found is not None
    assert (found.nights, found.median, found.mad, found.highest, found.limit) == (5, 3, 1, 100, 100)
    quiet = band_of([1, 2, 3, 4, 5], figure(5), PLAIN, DriftConfig(least_nights=4, factor=4))
    assert quiet is not None and quiet.limit == 7  # 3 + 4 x 1
    assert band_of([1, 2, 3], figure(5), PLAIN, CONFIG) is None


def test_counts_are_judged_by_ratio_and_to_both_sides() -> None:
    history = [night(at, figure(40 + at % 3, "documents")) for at in range(8)]
    for value, over in ((0, True), (20, False), (80, False), (400, True)):
        assert judge([figure(value, "documents")], history, CONFIG)[0].over is over, value
    silent = judge([figure(0, "documents")], history, CONFIG)[0]
    assert silent.band is not None and 0 < silent.band.limit < silent.band.median


def test_a_change_too_small_to_matter_is_none() -> None:
    assert not told(*[0.01] * 8, 0.05)[-1].over
    assert told(*[0.01] * 8, 0.15)[-1].over


def test_far_out_is_an_alarm_at_once_and_near_only_when_it_stays() -> None:
    assert told(*[0.0] * 8, 0.3)[-1].alarm
    near = told(*[0.0] * 8, 0.15, 0.15, 0.15)
    assert [each.over for each in near[-3:]] == [True] * 3
    assert [each.alarm for each in near[-3:]] == [False, True, False]
    assert [each.nights for each in near[-3:]] == [1, 2, 3]
    assert near[-1].told
    assert not any(each.alarm for each in told(*[0.0] * 8, 0.15, 0.0, 0.0, 0.15, 0.0))


def test_vectors_of_the_whole_alarm_at_once_and_those_of_one_source_when_it_stays() -> None:
    def vectors(value: float, source: str | None) -> Figure:
        return Figure(Family.EMBEDDINGS, "mean_difference", value, source)

    history = [night(at, vectors(0.0, None), vectors(0.0, "notes")) for at in range(8)]
    least = rule_of(vectors(0.0, None)).least
    whole, one = judge([vectors(1.2 * least, None), vectors(1.2 * least, "notes")], history, CONFIG)
    assert (whole.over, whole.alarm) == (True, True)
    assert (one.over, one.alarm) == (True, False)


def test_what_stays_is_told_once_and_becomes_the_usual() -> None:
    nights = told(*[0.0] * 8, *[0.5] * 20)
    assert sum(each.alarm for each in nights) == 1
    assert not nights[-1].over
    back = told(*[0.0] * 8, *[0.5] * 2, *[0.0] * 8, 0.9)
    assert [at for at, each in enumerate(back) if each.alarm] == [8, 18]


def test_a_night_that_published_nothing_is_no_history() -> None:
    held = [night(at, figure(0.4), release=False) for at in range(8)]
    assert judge([figure(0.4)], held, CONFIG)[0].band is None
    usual = [night(at, figure(0.0)) for at in range(8)]
    assert judge([figure(0.4)], [*usual, *held], CONFIG)[0].over


def test_one_event_is_one_alarm() -> None:
    names = ("refused", "duplicates", "alike")
    history = [night(at, *(figure(0.0, name) for name in names)) for at in range(8)]
    found = judge([figure(0.4, "refused"), figure(0.9, "duplicates"), figure(0.9, "alike", "other")], history, CONFIG)
    assert [each.alarm for each in found] == [False, True, False]  # `alike` of another source has no history
    assert found[1].advice.endswith("(with it: refused of notes)")
    later = judge([figure(0.9, "refused")], [*history, replace(night(8), figures=found)], CONFIG)
    assert (later[0].alarm, later[0].told) == (False, True)


def test_another_space_starts_a_new_history() -> None:
    history = [night(at, replace(figure(0.0), space="a")) for at in range(8)]
    assert judge([replace(figure(0.9), space="a")], history, CONFIG)[0].alarm
    assert judge([replace(figure(0.9), space="b")], history, CONFIG)[0].band is None


def test_other_thresholds_tell_another_past() -> None:
    nights = [night(at, figure(value)) for at, value in enumerate([*[0.0] * 8, 0.15, 0.0])]
    assert not any(each.alarm for one in replay(nights, CONFIG) for each in one.figures)
    strict = CONFIG.given({"alarm_after": 1})
    assert [each.run for each in replay(nights, strict) if each.figures[0].alarm] == ["run008"]


@pytest.mark.parametrize("name", ["documents", "mean_difference", "of_somebody_else"])
def test_every_figure_comes_with_advice(name: str) -> None:
    assert rule_of(figure(0, name)).advice
