"""What figures over a sample can say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.statistics import DEVIATION, detectable, interval, paired

figures = st.lists(st.floats(0, 1, allow_nan=False), min_size=2, max_size=40)


@settings(max_examples=25, deadline=None)
@given(figures)
def test_an_interval_holds_the_mean_and_stays_within_the_figures(values: list[float]) -> None:
    low, high = interval(values, resamples=200)
    assert min(values) - 1e-9 <= low <= np.mean(values) + 0.2
    assert low <= high <= max(values) + 1e-9


def test_an_interval_is_that_of_the_normal_approximation_where_that_holds() -> None:
    values = np.random.default_rng(1).normal(0.5, 0.3, 400)
    low, high = interval(values)
    half = 1.96 * values.std(ddof=1) / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.004)


def test_the_same_figures_give_the_same_interval() -> None:
    values = np.random.default_rng(2).random(50)
    assert interval(values) == interval(values)
    assert interval(values) != interval(values, seed=1)


def test_one_question_has_an_interval_without_width_and_none_has_none() -> None:
    assert interval([0.4]) == (0.4, 0.4)
    assert all(math.isnan(end) for end in interval([]))


def test_a_difference_counts_upwards_where_the_second_is_better() -> None:
    a = np.random.default_rng(3).random(120)
    found = paired(a, a + 0.1 + np.random.default_rng(4).normal(0, 0.05, 120))
    assert found.low > 0.08
    assert found.low < found.difference < found.high
    assert found.p < 0.001
    assert found.n == 120


def test_a_ranking_does_not_differ_from_itself() -> None:
    a = np.random.default_rng(5).random(30)
    found = paired(a, a)
    assert (found.difference, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)


@settings(max_examples=15, deadline=None)
@given(figures, st.integers(0, 99))
def test_turning_the_sides_turns_the_difference(values: list[float], seed: int) -> None:
    a = np.asarray(values)
    b = np.random.default_rng(seed).permutation(a)
    there, back = paired(a, b, resamples=200), paired(b, a, resamples=200)
    assert there.difference == pytest.approx(-back.difference)
    assert there.p == pytest.approx(back.p, abs=0.15)


def test_chance_alone_is_told_from_an_effect_as_often_as_promised() -> None:
    draws = np.random.default_rng(6)
    seen = sum(paired(np.zeros(60), draws.normal(0, 0.2, 60), resamples=500).p < 0.05 for _ in range(100))
    assert seen <= 12


@pytest.mark.parametrize("difference", [[], [0.5], [0.0]])
def test_of_one_question_chance_says_nothing(difference: list[float]) -> None:
    found = paired([0.0] * len(difference), difference)
    assert (found.p, found.n, found.deviation) == (1.0, len(difference), 0.0)


def test_questions_that_are_not_the_same_cannot_be_paired() -> None:
    with pytest.raises(ValueError, match="2 and 3 questions"):
        paired([0, 1], [0, 1, 1])


def test_what_can_be_seen_follows_from_the_questions() -> None:
    assert detectable(DEVIATION, 4_000) == pytest.approx(0.01, abs=0.0005)
    assert detectable(DEVIATION, 1_000) == pytest.approx(0.02, abs=0.0005)
    assert detectable(DEVIATION, 440) == pytest.approx(0.03, abs=0.0005)
    assert detectable(DEVIATION, 0) == math.inf
