"""Vectors of unit length, and their centres by k-means."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import vectors as module
from models.vectors import fit_centres, nearest_centre, unit


def lloyd(vectors: np.ndarray, count: int, seed: int) -> np.ndarray:
    """The same, a vector at a time and in double precision."""
    centres = vectors[np.random.default_rng(seed).choice(len(vectors), count, replace=False)].astype(np.float64)
    for _ in range(module.ROUNDS):
        near = [int(np.argmin([((vector - centre) ** 2).sum() for centre in centres])) for vector in vectors]
        for number in set(near):
            centres[number] = np.mean([v for v, at in zip(vectors, near, strict=True) if at == number], axis=0)
    return centres


@settings(deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 60), st.data())
def test_centres_are_those_of_lloyd(seed: int, rows: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, rows))
    vectors = np.random.default_rng(seed).normal(size=(rows, 5)).astype(np.float32)
    before = vectors.copy()
    np.testing.assert_allclose(fit_centres(vectors, count, seed), lloyd(vectors, count, seed), atol=1e-4)
    np.testing.assert_array_equal(vectors, before)


def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.random.default_rng(3).normal(size=(1_000, 8)).astype(np.float32)
    whole = fit_centres(vectors, 20)
    monkeypatch.setattr(module, "BLOCK", 7)
    np.testing.assert_allclose(fit_centres(vectors, 20), whole, atol=1e-4)


def test_heaps_get_their_middles() -> None:
    middles = np.eye(4, dtype=np.float32)
    vectors = np.repeat(middles, 50, axis=0) + np.random.default_rng(1).normal(0, 0.01, (200, 4)).astype(np.float32)
    found = fit_centres(vectors[[0, 60, 120, 180, *range(200)]], 4, seed=11)
    assert len(np.unique(nearest_centre(middles, found))) >= 3
    assert np.linalg.norm(vectors - found[nearest_centre(vectors, found)], axis=1).mean() < 0.5


def test_a_centre_of_no_vector_stays() -> None:
    """Equal vectors begin equal centres, of which one takes all."""
    vectors = np.ones((10, 3), dtype=np.float32)
    np.testing.assert_array_equal(fit_centres(vectors, 4), np.ones((4, 3)))


def test_vectors_get_unit_length_but_for_one_without() -> None:
    vectors = np.array([[3, 4], [0, 0], [0, 1e-3]], dtype=np.float32)
    np.testing.assert_allclose(unit(vectors), [[0.6, 0.8], [0, 0], [0, 1]])
