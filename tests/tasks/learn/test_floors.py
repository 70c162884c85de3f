"""The floors of a night: what they refuse, and what they let pass because nobody could tell."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.metrics import METRICS
from storage.outcome import Outcome
from tasks.learn.config import QualityConfig
from tasks.learn.floors import judge
from tasks.learn.results import Evaluation, SetResult, mode_result

QUESTIONS = 60


def measured(figures: np.ndarray, fingerprint: str = "f") -> Evaluation:
    asked = tuple(f"q{n}" for n in range(len(figures)))
    exact = mode_result(dict.fromkeys(METRICS, figures))
    found = SetResult("set", "test", "target", asked, 10, None, {"dense": exact}, exact, fingerprint=fingerprint)
    return Evaluation(None, (found,))


def held(figures: np.ndarray, fingerprint: str = "f") -> dict[str, dict[str, Any]]:
    # In another order than the questions are asked now: they are paired by id.
    order = np.random.default_rng(0).permutation(len(figures))
    asked = [f"q{n}" for n in order]
    return {"set": {"fingerprint": fingerprint, "asked": asked, "figures": figures[order].tolist()}}


def test_quality_below_the_least_is_refused_with_its_figures() -> None:
    found = judge(measured(np.full(QUESTIONS, 0.4)), {}, QualityConfig(min_ndcg=0.5))
    assert found.verdict.outcome is Outcome.REFUSED
    (reason,) = found.verdict.reasons
    assert reason.startswith("set: nDCG@10 0.400 [0.400, 0.400] over 60 questions is below quality.min_ndcg 0.5;")
    assert judge(measured(np.full(QUESTIONS, 0.5)), {}, QualityConfig(min_ndcg=0.5)).verdict.outcome is Outcome.PASSED


def test_a_sure_drop_is_refused_with_its_interval() -> None:
    before = np.random.default_rng(1).random(QUESTIONS)
    found = judge(measured(before - 0.2), held(before), QualityConfig(max_drop=0.05))
    (reason,) = found.verdict.reasons
    assert reason.startswith("set: nDCG@10 fell by 0.200 [0.200, 0.200] against the release before, over 60 questions;")
    told = found.to_dict()["sets"]["set"]
    assert (told["change"], found.counts["refused"]) == (pytest.approx(-0.2), 1)


def test_a_drop_that_may_be_chance_does_not_stop_a_night() -> None:
    draws = np.random.default_rng(2)
    before = draws.random(QUESTIONS)
    after = before.copy()
    after[:3] -= 0.5  # three questions of sixty: it looks like -.025, and may as well be nothing
    assert judge(measured(after), held(before), QualityConfig(max_drop=0.02)).verdict.outcome is Outcome.PASSED


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=30), st.floats(0, 0.5))
def test_a_release_that_answers_as_before_passes(figures: list[float], drop: float) -> None:
    values = np.array(figures)
    found = judge(measured(values), held(values), QualityConfig(max_drop=drop))
    assert found.verdict.outcome is Outcome.PASSED
    assert found.compared["set"].difference == 0


def test_other_questions_or_judgements_are_not_compared() -> None:
    before = np.full(QUESTIONS, 0.9)
    found = judge(measured(before - 0.5, "new"), held(before, "old"), QualityConfig())
    assert (found.verdict.outcome, found.compared) == (Outcome.PASSED, {})
