"""The gate of a challenger: each bar refuses what it is there for, and chance alone does not pass."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from storage.outcome import Outcome
from tasks.learn.config import QualityConfig
from tasks.learn.promote import Comparison, Cost, Promotion, judge

COST = Cost(10.0, 1_000)
CONFIG = QualityConfig()
N = 700


def scores(seed: int, n: int = N) -> np.ndarray:
    """nDCG@10 of questions as encoders give it: many 0, many 1, the rest between."""
    rng = np.random.default_rng(seed)
    return np.clip(rng.normal(0.65, 0.5, n), 0, 1)


def better(champion: np.ndarray, by: float, seed: int = 1, deviation: float = 0.225) -> np.ndarray:
    """A challenger whose mean is better by so much, with the spread that two encoders have."""
    noise = np.random.default_rng(seed).normal(0, deviation, len(champion))
    return champion + noise - noise.mean() + by


def compared(
    by: float, role: Literal["target", "general"] = "target", n: int = N, name: str = "questions"
) -> Comparison:
    champion = scores(0, n)
    return Comparison(name, role, champion, better(champion, by))


def missed(found: Promotion) -> list[tuple[str, str]]:
    return [(bar.name, bar.of) for bar in found.bars if not bar.holds]


def test_a_challenger_that_gains_and_costs_no_more_passes_with_all_its_figures() -> None:
    found = judge([compared(0.05), compared(-0.002, "general", 225, "cranfield")], COST, COST, CONFIG)
    assert found.passes
    assert found.verdict.outcome is Outcome.PASSED
    assert found.reasons == ()
    assert [(bar.name, bar.of) for bar in found.bars] == [
        ("gain", "questions"),
        ("forgetting", "cranfield"),
        ("latency", "ms a query"),
        ("size", "bytes of weights"),
    ]
    gain = found.bars[0]
    assert gain.value == pytest.approx(0.05)
    assert gain.low is not None and gain.high is not None and 0.03 < gain.low < 0.05 < gain.high < 0.07
    assert gain.questions == N and gain.detectable == pytest.approx(0.024, abs=0.002)


def test_of_a_hundred_comparisons_of_an_encoder_with_its_like_at_least_95_are_refused() -> None:
    passed, few = 0, 150  # with few questions chance alone often reaches the minimum effect
    for seed in range(100):
        rng = np.random.default_rng(seed)
        champion = scores(seed, few)
        alike = champion + rng.normal(0, 0.225, few)  # a draw of the same quality: its mean differs by chance alone
        passed += judge([Comparison("a", "target", champion, alike)], COST, COST, CONFIG).passes
    assert passed <= 5


def test_an_encoder_that_answers_as_the_champion_does_is_refused() -> None:
    champion = scores(0)
    found = judge([Comparison("same", "target", champion, champion.copy())], COST, COST, CONFIG)
    assert missed(found) == [("gain", "same")]
    assert "at least +0.010 is asked" in found.reasons[0]


def test_a_gain_within_noise_is_refused_and_says_what_the_questions_could_have_shown() -> None:
    found = judge([compared(0.02, n=100)], COST, COST, CONFIG)
    assert missed(found) == [("gain", "questions")]
    assert "within noise, 100 questions show an effect of 0.05" in found.reasons[0]


def test_one_that_forgets_is_refused_by_the_name_of_the_set() -> None:
    found = judge([compared(0.05), compared(-0.064, "general", 52, "cacm")], COST, COST, CONFIG)
    assert missed(found) == [("forgetting", "cacm")]
    assert "general set cacm" in found.reasons[0] and "forgets more than 0.020" in found.reasons[0]


def test_one_that_pays_for_its_gain_with_a_slice_is_refused() -> None:
    champion = scores(0)
    part = np.arange(N) < 150
    challenger = better(champion, 0.06)
    challenger[part] -= 0.15
    found = judge([Comparison("q", "target", champion, challenger, {"source=code": part})], COST, COST, CONFIG)
    assert missed(found) == [("slice", "q, source=code")]
    few = np.arange(N) < 10
    one = Comparison("q", "target", champion, better(champion, 0.06), {"source=code": few})
    assert [bar.name for bar in judge([one], COST, COST, CONFIG).bars] == ["gain", "latency", "size"]


def test_one_that_is_too_slow_or_too_large_is_refused() -> None:
    found = judge([compared(0.05)], COST, Cost(16.0, 1_600), CONFIG)
    assert missed(found) == [("latency", "ms a query"), ("size", "bytes of weights")]
    assert "1.60 times the champion's 10; at most 1.50 times are allowed" in found.reasons[0]


def test_without_a_question_nothing_is_promoted() -> None:
    found = judge([compared(0.05, "general")], COST, COST, CONFIG)
    assert missed(found) == [("gain", "")]
    assert "nothing proves a gain" in found.reasons[0]


def test_the_gain_is_that_of_all_target_questions_together() -> None:
    found = judge([compared(0.08, n=600, name="a"), compared(-0.02, n=100, name="b")], COST, COST, CONFIG)
    assert found.bars[0].of == "a, b"
    assert found.bars[0].value == pytest.approx((600 * 0.08 - 100 * 0.02) / 700)


def test_a_verdict_can_be_stored() -> None:
    told = judge([compared(0.0)], COST, COST, CONFIG).to_dict()
    assert told["passes"] is False
    assert told["bars"][0]["name"] == "gain"
