"""The difference of means: unbiased, the same from sums as from vectors, and blind to the mix of sources."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.watch.difference import Sums, difference, noise, pooled, stratified, summed

RANDOM = np.random.default_rng(0)


def drawn(documents: int, shift: float = 0.0, seed: int = 0, most: int = 4) -> tuple[np.ndarray, list[str]]:
    """Vectors of documents of one to four chunks that lie near each other."""
    random = np.random.default_rng(seed)
    names = [f"{seed}-{number}" for number in range(documents) for _ in range(random.integers(1, most + 1))]
    middle = {name: random.normal(size=8) + shift for name in dict.fromkeys(names)}
    return np.array([middle[name] + random.normal(size=8) / 4 for name in names], dtype=np.float32), names


def pairwise(vectors: np.ndarray, names: list[str]) -> float:
    """The mean product of two vectors of two documents, by going through all pairs."""
    pairs = [
        float(np.float64(vectors[a]) @ np.float64(vectors[b]))
        for a, b in itertools.permutations(range(len(names)), 2)
        if names[a] != names[b]
    ]
    return float(np.mean(pairs))


@given(st.integers(2, 12), st.integers(2, 12), st.integers(0, 1_000))
@settings(deadline=None, max_examples=30)
def test_it_is_what_all_pairs_say(a: int, b: int, seed: int) -> None:
    (now, now_names), (old, old_names) = drawn(a, 0.5, seed), drawn(b, 0.0, seed + 5_000)
    across = float((now.astype(np.float64) @ old.astype(np.float64).T).mean())
    expected = pairwise(now, now_names) + pairwise(old, old_names) - 2 * across
    assert difference(summed(now, now_names), summed(old, old_names)) == pytest.approx(expected, abs=1e-6)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=6), st.integers(0, 1_000))
@settings(deadline=None, max_examples=30)
def test_nights_that_are_added_up_are_the_vectors_together(sizes: list[int], seed: int) -> None:
    nights = [drawn(size, seed=seed + at) for at, size in enumerate(sizes)]
    found = pooled(summed(vectors, names) for vectors, names in nights)
    whole = summed(np.concatenate([v for v, _ in nights]), [name for _, names in nights for name in names])
    assert found is not None
    assert (found.documents, found.vectors, found.pairs) == (whole.documents, whole.vectors, whole.pairs)
    assert found.squares == pytest.approx(whole.squares)
    np.testing.assert_allclose(found.total, whole.total)


def test_it_is_around_nothing_where_nothing_changed_and_finds_what_did() -> None:
    quiet = [difference(summed(*drawn(30, 0.0, s)), summed(*drawn(60, 0.0, s + 999))) for s in range(200)]
    assert abs(np.mean(quiet)) < 3 * np.std(quiet) / np.sqrt(len(quiet))
    assert min(quiet) < 0 < max(quiet)
    moved = [difference(summed(*drawn(30, 0.5, s)), summed(*drawn(60, 0.0, s + 999))) for s in range(200)]
    assert np.mean(moved) == pytest.approx(8 * 0.5**2, rel=0.1)


def test_its_error_is_known_beforehand() -> None:
    before = summed(*drawn(2_000, 0.0, 777))
    found = [difference(summed(*drawn(40, 0.0, s)), before) for s in range(300)]
    foretold = np.mean([noise(*drawn(40, 0.0, s)) for s in range(30)])
    assert foretold == pytest.approx(np.std(found), rel=0.25)


def test_another_mix_of_sources_is_no_shift() -> None:
    before = {"a": summed(*drawn(400, 0.0, 1)), "b": summed(*drawn(400, 3.0, 2))}
    night = {"a": summed(*drawn(90, 0.0, 3)), "b": summed(*drawn(10, 3.0, 4))}
    mixed = difference(_together(night), _together(before))
    assert mixed > 5
    assert abs(stratified(night, before) or 0.0) < 0.2
    moved = {"a": summed(*drawn(90, 1.0, 3)), "b": summed(*drawn(10, 4.0, 4))}
    assert stratified(moved, before) == pytest.approx(8, rel=0.2)


def test_of_one_source_it_is_the_difference_and_of_none_nothing() -> None:
    night, before = {"a": summed(*drawn(30, 0.4, 5))}, {"a": summed(*drawn(60, 0.0, 6))}
    assert stratified(night, before) == pytest.approx(difference(night["a"], before["a"]))
    assert stratified(night, {"b": before["a"]}) is None
    assert stratified({"a": summed(*drawn(1, seed=8))}, before) is None
    assert pooled([]) is None


def _together(parts: dict[str, Sums]) -> Sums:
    found = pooled(parts.values())
    assert found is not None
    return found
