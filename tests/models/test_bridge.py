"""A bridge maps vectors to another space so that neighbours stay neighbours, and says how many of them do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.bridge import LEAST, RIDGES, agreement, fit


def vectors(rows: int, width: int, seed: int = 0) -> np.ndarray:
    made = np.random.default_rng(seed).normal(size=(rows, width)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


@settings(max_examples=15, deadline=None)
@given(st.integers(4, 24), st.integers(60, 200), st.integers(0, 5))
def test_a_rotation_is_found_whatever_its_width(width: int, rows: int, seed: int) -> None:
    old = vectors(rows, width, seed)
    rotation = np.linalg.qr(np.random.default_rng(seed + 1).normal(size=(width, width)))[0].astype(np.float32)
    bridge = fit(old, old @ rotation, seed=seed)
    np.testing.assert_allclose(bridge.apply(old), old @ rotation, atol=1e-2)
    assert (bridge.rows, bridge.agreement >= 0.99) == (rows, True)
    np.testing.assert_allclose(np.linalg.norm(bridge.apply(old), axis=1), 1, atol=1e-5)


def test_widths_may_differ_and_a_direction_that_no_vector_has_does_no_harm() -> None:
    new = vectors(300, 16)
    old = np.concatenate([new, np.zeros((300, 4), np.float32)], axis=1)
    bridge = fit(old, new)
    assert (bridge.matrix.shape, bridge.agreement) == ((20, 16), 1.0)


def test_the_ridge_follows_the_neighbours_of_rows_that_were_held_out() -> None:
    old = vectors(400, 32)
    noise = vectors(400, 32, seed=1)
    bridge = fit(old, vectors(400, 32, seed=2) * 0.05 + old * 0.95 + noise * 0.2)
    assert bridge.ridge in RIDGES
    assert 0.2 < bridge.agreement < 1
    assert agreement(vectors(400, 32, seed=5), vectors(400, 32)) < 0.1  # by chance
    np.testing.assert_array_equal(fit(old, old).matrix, fit(old, old).matrix)


def test_too_few_pairs_are_no_evidence() -> None:
    with pytest.raises(ValueError, match="50 or more pairs of vectors, not on 49 and 49"):
        fit(vectors(LEAST - 1, 4), vectors(LEAST - 1, 4))
    with pytest.raises(ValueError, match="not on 60 and 61"):
        fit(vectors(60, 4), vectors(61, 4))
