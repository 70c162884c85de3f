"""Fusion of what vectors and what words find, and the weight that questions choose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.tables.roles import Fusion
from tasks.search.fuse import WEIGHTS, fit, fuse, two_fold

SCHEMA = {"query": pl.UInt32, "id": pl.String, "key": pl.String, "score": pl.Float64}


def side(*rankings: Mapping[str, float]) -> pl.DataFrame:
    """Chunks that were found, one ranking a query; the document of chunk `a1` is `a`."""
    rows = [(query, chunk, chunk[0], score) for query, found in enumerate(rankings) for chunk, score in found.items()]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row").sort("query", "score", "id", descending=[False, True, False])


def ranked(frame: pl.DataFrame, name: str = "key") -> list[str]:
    return frame.filter(query=0)[name].to_list()


def documents(found: pl.DataFrame) -> list[tuple[int, str]]:
    """Documents of a side in its own order: by the best chunk, the smaller key of equal ones."""
    best = found.group_by("query", "key").agg(pl.col("score").max())
    return best.sort("query", "score", "key", descending=[False, True, False]).select("query", "key").rows()


chunk = st.sampled_from([f"{document}{number}" for document in "abcdefg" for number in range(3)])
ranking = st.dictionaries(chunk, st.integers(-8, 8).map(float), max_size=12)
found = st.lists(ranking, min_size=1, max_size=3).map(lambda rankings: side(*rankings))


def test_each_side_is_scaled_to_its_best_and_its_last_and_what_it_misses_has_nothing_from_it() -> None:
    dense, text = side({"a1": 0.9, "a2": 0.8, "b1": 0.7, "c1": 0.5}), side({"d1": 30.0, "b2": 20.0, "c1": 10.0})
    # Documents: dense a 1, b .5, c 0; text d 1, b .5, c 0.
    assert fuse(dense, text, 0.25).rows() == [(0, "a", 0.75), (0, "b", 0.5), (0, "d", 0.25), (0, "c", 0.0)]
    # Chunks: dense a1 1, a2 .75, b1 .5, c1 0.
    assert fuse(dense, text, 0.5, level="id").rows() == [
        (0, "a1", "a", 0.5),
        (0, "d1", "d", 0.5),
        (0, "a2", "a", 0.375),
        (0, "b1", "b", 0.25),
        (0, "b2", "b", 0.25),
        (0, "c1", "c", 0.0),
    ]


def test_what_lies_below_the_depth_adds_nothing_and_keeps_its_order() -> None:
    dense, text = side({"a1": 4.0, "b1": 3.0, "c1": 2.0, "d1": 1.0}), side({"d1": 2.0, "c1": 1.0})
    assert fuse(dense, text, 0.2, depth=2).rows() == [(0, "a", 0.8), (0, "d", 0.2), (0, "b", 0.0), (0, "c", 0.0)]
    assert ranked(fuse(dense, text, 0.0, depth=1)) == ["a", "b", "c", "d"]


def test_a_side_that_found_nothing_or_only_equals_is_fused_too() -> None:
    assert fuse(side({"a1": 2.0}), side({}), 0.3).rows() == [(0, "a", 0.7)]
    assert fuse(side({"a1": 2.0, "b1": 2.0}), side({"b1": 5.0}), 0.5).rows() == [(0, "b", 1.0), (0, "a", 0.5)]
    assert fuse(side({}), side({}), 0.5).rows() == []


@settings(max_examples=60, deadline=None)
@given(found, found, st.integers(1, 12))
def test_without_words_the_order_is_that_of_the_vectors_and_without_vectors_that_of_the_words(
    dense: pl.DataFrame, text: pl.DataFrame, depth: int
) -> None:
    assert fuse(dense, text, 0.0, depth).select("query", "key").rows() == documents(dense)
    assert fuse(dense, text, 1.0, depth).select("query", "key").rows() == documents(text)
    chunks = fuse(dense, text, 0.0, depth, level="id").select("query", "id").rows()
    assert chunks == dense.select("query", "id").rows()


@settings(max_examples=60, deadline=None)
@given(found, found, st.sampled_from(WEIGHTS), st.sampled_from([0.25, 2.0, 1024.0]), st.integers(-4, 4))
def test_neither_unit_nor_origin_of_a_score_matters(
    dense: pl.DataFrame, text: pl.DataFrame, weight: float, unit: float, origin: int
) -> None:
    other = text.with_columns(pl.col("score") * unit + origin)
    assert fuse(dense, other, weight).equals(fuse(dense, text, weight))
    other = dense.with_columns(pl.col("score") * unit + origin)
    assert fuse(other, text, weight, level="id").equals(fuse(dense, text, weight, level="id"))


@settings(max_examples=40, deadline=None)
@given(found, found, st.sampled_from(WEIGHTS))
def test_every_candidate_is_ranked_once_between_nothing_and_the_best(
    dense: pl.DataFrame, text: pl.DataFrame, weight: float
) -> None:
    fused = fuse(dense, text, weight)
    assert fused.select("query", "key").is_unique().all()
    assert fused["score"].is_between(0, 1).all()
    if 0 < weight < 1:
        both = pl.concat([dense, text]).select("query", "key").unique()
        assert fused.height == both.height


def test_the_weight_is_that_of_the_best_mean_and_the_smallest_of_equal_ones() -> None:
    # Alone either side puts another document before the answer; together they agree on it.
    dense, text = side({"a1": 1.0, "x1": 0.9, "b1": 0.0}), side({"c1": 1.0, "x1": 0.9, "d1": 0.0})
    fusion = fit(dense, text, [{"x": 1}], fingerprint="f")
    second = 1 / np.log2(3)
    assert fusion == Fusion(0.15, 100, 1, pytest.approx(second), pytest.approx(second), 1.0, "f")
    same = side({"x1": 1.0, "b1": 0.5})
    assert fit(same, same, [{"x": 1}]).weight == 0.0
    assert fit(side({"b1": 1.0}), side({"x1": 1.0}), [{"x": 1}]).hybrid == 1.0


def test_no_weight_is_given_where_words_gain_nothing_or_nobody_asks() -> None:
    dense, text = side({"x1": 1.0, "b1": 0.5}), side({"b1": 1.0, "c1": 0.5})
    fusion = fit(dense, text, [{"x": 1}])
    assert (fusion.weight, fusion.dense, fusion.text, fusion.hybrid) == (0.0, 1.0, 0.0, 1.0)
    assert fit(side(), side(), []) == Fusion(0.0)
    assert fit(side({}), side({}), [{"x": 1}]) == Fusion(0.0, questions=1)


def test_two_folds_judge_each_question_by_the_weight_of_the_others() -> None:
    # Even questions want the words alone, odd ones the vectors alone: each half gets what the other wants.
    answers: Sequence[Mapping[str, int]] = [{"t": 1}, {"d": 1}] * 2
    dense, text = side(*[{"d1": 1.0, "b1": 0.0}] * 4), side(*[{"t1": 1.0, "b1": 0.0}] * 4)
    scores, weights = two_fold(dense, text, answers)
    assert weights == (0.0, pytest.approx(0.55))
    assert scores.tolist() == pytest.approx([0.0, 1 / np.log2(3)] * 2)
    agreed, weights = two_fold(dense, text, [{"t": 1}] * 4)
    assert (agreed.tolist(), weights) == ([1.0] * 4, (0.55, 0.55))


def test_the_weight_that_serves_stays_unless_another_is_surely_better() -> None:
    # By words alone all 40 are answered at the first place; by vectors all but two: too few to tell from luck.
    dense = side(*({"a1": 2.0, "b1": 1.0} if query > 1 else {"b1": 2.0, "a1": 1.0} for query in range(40)))
    text, relevant = side(*({"a1": 2.0, "b1": 1.0} for _ in range(40))), [{"a": 1}] * 40
    assert fit(dense, text, relevant).weight > 0.25
    assert fit(dense, text, relevant, serving=0.25).weight == 0.25
    dense = side(*({"b1": 2.0, "a1": 1.0} for _ in range(40)))
    assert fit(dense, text, relevant, serving=0.25).weight > 0.5
    assert fit(side(), side(), [], serving=0.25).weight == 0.0
