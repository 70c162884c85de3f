"""Looks at dev questions."""

from __future__ import annotations

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from models.training.dev import DevQuestions, exhausted, ndcg, peak

CURVES = st.lists(st.sampled_from([0.1, 0.2, 0.3]), max_size=12)


def test_ndcg_is_that_of_trec() -> None:
    random = np.random.default_rng(0)
    questions, passages = (random.normal(size=(count, 8)).astype(np.float32) for count in (20, 40))
    relevant = [tuple(random.choice(40, size=random.integers(1, 14), replace=False)) for _ in range(20)]
    judged = {str(row): {str(found): 1 for found in wanted} for row, wanted in enumerate(relevant)}
    scores = questions @ passages.T
    ranked = {str(row): {str(at): float(score) for at, score in enumerate(of)} for row, of in enumerate(scores)}

    oracle = pytrec_eval.RelevanceEvaluator(judged, {"ndcg_cut.10"}).evaluate(ranked)

    assert ndcg(questions, passages, relevant) == pytest.approx(
        np.mean([row["ndcg_cut_10"] for row in oracle.values()])
    )


def test_a_pool_smaller_than_ten_and_a_question_without_answers_count() -> None:
    unit = np.eye(2, dtype=np.float32)

    assert ndcg(unit, unit, [(0,), (1,)]) == 1
    assert ndcg(unit, unit, [(0,), ()]) == 0.5


@given(CURVES, st.sampled_from([0.0, 0.01, 0.3]))
def test_the_peak_is_the_last_look_that_noise_does_not_tell_from_the_best_and_never_the_base(
    values: list[float], noise: float
) -> None:
    curve = list(enumerate(values))

    kept = peak(curve, noise)
    trained = values[1:]
    if not trained:
        assert kept is None
        return
    assert kept is not None and kept >= 1
    assert values[kept] >= max(trained) - noise
    assert all(value < max(trained) - noise for value in values[kept + 1 :])
    # Who keeps the weights at each look that is the peak so far has those of the peak in the end.
    saved = [step for step in range(1, len(values)) if peak(curve[: step + 1], noise) == step]
    assert saved[-1] == kept


def test_a_look_at_more_questions_says_more() -> None:
    few, many = (DevQuestions(("q",) * count, ("p",), ((0,),) * count) for count in (25, 400))
    assert (few.noise, many.noise) == (pytest.approx(0.045), pytest.approx(0.01125))


@given(CURVES, st.integers(1, 5), st.sampled_from([0.0, 0.01, 0.3]))
def test_patience_ends_with_so_many_looks_after_the_peak(values: list[float], patience: int, noise: float) -> None:
    curve = list(enumerate(values))
    best = peak(curve, noise)

    assert exhausted(curve, patience, noise) == (best is not None and len(values) - 1 - best >= patience)


def test_dev_questions_are_told_apart_by_all_that_they_hold() -> None:
    parts = [(("q",), ("a", "b"), ((0,),)), (("q",), ("a", "b"), ((1,),)), (("p",), ("a", "b"), ((0,),))]

    assert len({DevQuestions(*part).digest for part in parts}) == 3
