"""The figures of what is asked: quiet days, other questions, and questions that nothing answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from storage.tables.queries import LOGGED, Logged
from tasks.watch.figures import Figure
from tasks.watch.queries import content_gap, measure_queries

NOW = datetime(2026, 1, 31, 2, tzinfo=UTC)
DIMENSION = 16


class Held(Logged):
    """A log whose vectors lie in memory."""

    held: np.ndarray

    def vectors(self, rows: pl.Series) -> np.ndarray:
        return self.held[rows.to_numpy()]


def unit(vectors: np.ndarray) -> np.ndarray:
    found: np.ndarray = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return found


def log(days: int = 20, a_day: int = 60, shift: float = 0.0, seed: int = 0, **tonight: object) -> Held:
    """Queries of some days; those of the last have other subjects, or other facts."""
    draws = np.random.default_rng(seed)
    count = (days + 1) * a_day
    vectors = draws.normal(size=(count, DIMENSION))
    vectors[-a_day:, 0] += shift
    times = [NOW - timedelta(days=days - day, hours=1) for day in range(days + 1) for _ in range(a_day)]
    frame = pl.DataFrame(
        {
            "row": range(count),
            "id": [f"q{number}" for number in range(count)],
            "time": times,
            "origin": "search",
            "text": [f"question {number}" for number in range(count)],
            "hash": [f"h{number}" for number in range(count)],
            "best": draws.uniform(0.5, 0.9, count),
            "clicked": None,
            "encoded": True,
        },
        schema=LOGGED,
    )
    late = pl.col("time") > NOW - timedelta(days=1)
    values = [pl.when(late).then(pl.lit(value)).otherwise(pl.col(name)).alias(name) for name, value in tonight.items()]
    found = Held(frame.with_columns(values).cast(dict(LOGGED)))
    object.__setattr__(found, "held", unit(vectors))
    return found


def figures(logged: Logged) -> dict[str, Figure]:
    return {figure.name: figure for figure in measure_queries(logged, "space", NOW).figures}


def test_quiet_nights_lie_around_nothing_and_a_shift_lies_far_out() -> None:
    quiet = np.array([figures(log(seed=seed))["mean_difference"].value for seed in range(20)])
    assert abs(quiet.mean()) < 2 * quiet.std() / np.sqrt(20) + 1e-4
    shifted = figures(log(shift=2.0))["mean_difference"]
    assert shifted.value > quiet.max() + 10 * quiet.std()
    assert quiet.std() / 4 < shifted.error < quiet.std() * 4
    assert shifted.detail["compared"] == [60, 1_000]


def test_low_scores_are_those_that_hardly_a_query_had_before() -> None:
    low = figures(log())["low_scores"]
    assert low.value == pytest.approx(0.05, abs=0.07)
    assert low.detail["limit"] == pytest.approx(0.52, abs=0.01)
    all_low = figures(log(best=0.1))["low_scores"]
    assert (all_low.value, all_low.detail["of"]) == (1.0, 60)
    opened = figures(log(best=0.1, clicked=True))["low_scores"]
    assert (opened.value, opened.detail["gap"]) == (0.0, [])


def test_what_nothing_answers_is_grouped_by_what_it_is_about() -> None:
    asked = log(days=0, a_day=7).frame.with_columns(hash=pl.Series(["a", "a", "b", "c", "d", "e", "e"]))
    subject = np.eye(3, DIMENSION)
    vectors = unit(
        np.stack([subject[0], subject[0], subject[0] + 0.1, subject[1], subject[1] + 0.1, *[subject[2]] * 2])
    )
    groups = content_gap(asked, vectors)
    assert [group["queries"] for group in groups] == [3, 2, 2]
    assert groups[0]["examples"] == ["question 0", "question 2"]
    hashed = content_gap(asked.with_columns(text=pl.lit(None, pl.String)), vectors)
    assert hashed[0]["hashes"] == ["a", "b"]
    bare = content_gap(asked.with_columns(text=pl.lit(None, pl.String), hash=pl.lit(None, pl.String)), vectors)
    assert sorted(bare[0]) == ["best", "queries"]
    assert sum(group["queries"] for group in bare) == 7


def test_too_few_queries_are_told_and_none_at_all_are_no_news() -> None:
    found = measure_queries(log(days=2, a_day=20), "space", NOW)
    assert found.figures == ()
    assert found.notes == (
        "20 queries in 24 hours and 40 in the 20 days before are too few to compare: that takes 30 and 100",
    )
    nothing = measure_queries(Logged(pl.DataFrame(schema=LOGGED)), "space", NOW)
    assert (nothing.figures, nothing.notes) == ((), ())
