"""The metrics, held against trec_eval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given, settings
from hypothesis import strategies as st

from models.metrics import METRICS, score

ORACLE = {
    "ndcg@10": "ndcg_cut_10",
    **{f"recall@{k}": f"recall_{k}" for k in (1, 5, 10, 100)},
    "map": "map",
}
DOCUMENTS = [f"d{number:03}" for number in range(130)]

rankings = st.lists(st.sampled_from(DOCUMENTS), unique=True, max_size=130)
grades = st.dictionaries(st.sampled_from(DOCUMENTS), st.integers(0, 4), min_size=1, max_size=40)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(rankings, grades), min_size=1, max_size=4))
def test_every_figure_is_that_of_trec_eval(questions: list[tuple[Sequence[str], Mapping[str, int]]]) -> None:
    found = score([ranked for ranked, _ in questions], [judged for _, judged in questions])
    qrels = {str(at): judged for at, (_, judged) in enumerate(questions)}
    run = {
        str(at): {document: float(-place) for place, document in enumerate(ranked)}
        for at, (ranked, _) in enumerate(questions)
    }
    measures = {"ndcg_cut.10", "recall.1,5,10,100", "map", "recip_rank"}
    wanted = pytrec_eval.RelevanceEvaluator(qrels, measures).evaluate(run)
    for at in range(len(questions)):
        oracle = wanted.get(str(at), {})  # it leaves out a question without a ranking, which scores 0
        for ours, theirs in ORACLE.items():
            assert found[ours][at] == pytest.approx(oracle.get(theirs, 0.0), abs=1e-9), ours
        first = oracle.get("recip_rank", 0.0)  # over the whole ranking: ours stops at ten
        assert found["mrr@10"][at] == pytest.approx(first if first >= 0.1 else 0.0, abs=1e-9)


def test_each_metric_is_one_figure_a_question() -> None:
    found = score([["a", "b"], []], [{"b": 1}, {"c": 2}])
    assert list(found) == list(METRICS)
    assert {name: values.tolist() for name, values in found.items()} == {
        "ndcg@10": [1 / np.log2(3), 0.0],
        "recall@1": [0.0, 0.0],
        "recall@5": [1.0, 0.0],
        "recall@10": [1.0, 0.0],
        "recall@100": [1.0, 0.0],
        "mrr@10": [0.5, 0.0],
        "map": [0.5, 0.0],
    }
    assert all(values.dtype == np.float64 for values in found.values())


def test_no_questions_give_no_figures() -> None:
    assert {name: values.shape for name, values in score([], []).items()} == dict.fromkeys(METRICS, (0,))


def test_a_question_that_nothing_answers_scores_nothing() -> None:
    assert score([["a"]], [{"a": 0}])["ndcg@10"].tolist() == [0.0]


def test_rankings_and_judgements_must_be_as_many() -> None:
    with pytest.raises(ValueError, match="zip"):
        score([["a"]], [])
