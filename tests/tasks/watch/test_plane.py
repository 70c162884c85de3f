"""The map of a corpus: a plane that is fixed once, and what is marked on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mornings import SPACE, Histories

from storage.hashing import document_key
from storage.pinned import Pinned
from storage.tables.planes import Planes
from tasks.watch.plane import fit_plane, fix_plane, on_the_map, plane_of


def drawn(rows: int = 500, seed: int = 1) -> np.ndarray:
    """Vectors that spread along the third number most and along the first next."""
    scale = np.array([2, 0.1, 5, 0.1, 0.1])
    return (np.random.default_rng(seed).normal(size=(rows, 5)) * scale + 7).astype(np.float32)


def test_the_plane_is_where_vectors_spread_most_and_its_centre_is_theirs() -> None:
    plane = fit_plane(drawn())
    np.testing.assert_allclose(np.abs(plane.axes), np.eye(5)[[2, 0]], atol=0.05)
    assert (plane.axes.max(axis=1) > 0.9).all()  # the sign is no accident
    np.testing.assert_allclose(plane.place(drawn()).mean(axis=0), 0, atol=1e-3)
    np.testing.assert_array_equal(plane.axes, fit_plane(drawn()).axes)


@pytest.mark.parametrize("shape", [(2, 5), (9, 1), (0, 5)])
def test_too_few_numbers_make_no_plane(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="make no plane"):
        fit_plane(np.ones(shape, dtype=np.float32))


def test_the_plane_of_a_space_stays_when_the_release_that_fixed_it_is_gone(tmp_path: Path) -> None:
    made = Histories(tmp_path, keep=1)
    first = made.publish(10)
    unfixed = plane_of(made.store, first)
    fix_plane(made.store)
    for _ in range(3):
        last = made.publish(20)
        fix_plane(made.store)
    fixed = plane_of(made.store, last)
    assert fixed is not None and unfixed is not None
    assert fixed.release == 1 and Planes(made.store).find(SPACE) is not None
    np.testing.assert_array_equal(fixed.axes, unfixed.axes)


def test_what_is_new_and_what_drifted_is_marked_and_lies_on_top(tmp_path: Path) -> None:
    made = Histories(tmp_path)
    made.publish(10)
    release = made.publish(2)
    new = [document_key("wiki", f"wiki-1-{n}.md") for n in range(2)]
    points = on_the_map(Pinned.of(made.store, release), new, [document_key("tickets", "tickets-0-3.md"), "ab" * 16])
    assert points is not None
    assert (points.chunks, len(points.places)) == (72, 72)
    assert points.kinds == ["old"] * 66 + ["new"] * 4 + ["drifted"] * 2
    assert points.sources[-6:] == ["wiki"] * 4 + ["tickets"] * 2
