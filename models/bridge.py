"""A bridge between two spaces: one matrix that maps stored vectors to where another encoder would have put them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.encoder import Vectors
from models.vectors import unit

__all__ = ["RIDGES", "Bridge", "agreement", "fit"]

# As shares of the mean variance of a direction. A large one pulls every vector to the same few: measured, it collapses.
RIDGES = (0.0, 1e-4, 1e-3, 1e-2, 1e-1)
HELD_OUT, MOST_HELD_OUT = 0.2, 1_000
NEIGHBOURS = 10
LEAST = 50  # rows: with fewer there is nothing to hold out


@dataclass(frozen=True)
class Bridge:
    """A matrix from one space to another, and what says that it may be used.

    Attributes:
        matrix: float32 of shape (old dimension, new dimension).
        ridge: The penalty that it was fitted with, a share of the mean variance of a direction.
        rows: Pairs of vectors that it was fitted on.
        agreement: Share of the ten nearest neighbours of held-out vectors that are the same among mapped vectors as
            among real ones.
    """

    matrix: Vectors
    ridge: float
    rows: int
    agreement: float

    def apply(self, old: Vectors) -> Vectors:
        """Map vectors: float32 of shape (n, old dimension) to (n, new dimension), of unit norm."""
        mapped = np.asarray(old, dtype=np.float32) @ self.matrix
        return unit(mapped)


def fit(old: Vectors, new: Vectors, *, seed: int = 0) -> Bridge:
    """Fit a bridge on texts that both encoders embedded, by least squares with a small ridge.

    The ridge is chosen on rows that are held out, by the neighbours that it keeps and not by its error: a matrix may
    have a small error and still lose who is near to whom.

    Args:
        old: float32 of shape (n, old dimension).
        new: float32 of shape (n, new dimension): the same texts in the same order.
        seed: Of the choice of the rows that are held out.

    Raises:
        ValueError: There are too few rows, or not the same number on both sides.
    """
    if len(old) != len(new) or len(old) < LEAST:
        raise ValueError(f"a bridge is fitted on {LEAST} or more pairs of vectors, not on {len(old)} and {len(new)}")
    order = np.random.default_rng(seed).permutation(len(old))
    held, rest = np.split(order, [min(MOST_HELD_OUT, int(len(old) * HELD_OUT))])
    tried = [(agreement(unit(old[held] @ _solve(old[rest], new[rest], ridge)), new[held]), ridge) for ridge in RIDGES]
    best, ridge = max(tried, key=lambda one: (one[0], -one[1]))  # of equals the smallest: it bends vectors least
    return Bridge(_solve(old, new, ridge), ridge, len(old), round(best, 4))


def agreement(mapped: Vectors, real: Vectors, k: int = NEIGHBOURS) -> float:
    """Share of the k nearest real vectors of each real vector that are also the k nearest mapped ones, 0 to 1.

    Args:
        mapped: float32 of shape (n, dimension), unit norm.
        real: The same texts by the encoder itself.
        k: Neighbours that are compared.
    """
    wanted, found = _nearest(real @ real.T, k), _nearest(real @ mapped.T, k)
    return float(np.mean([len(np.intersect1d(a, b)) / len(a) for a, b in zip(wanted, found, strict=True)]))


def _nearest(scores: Vectors, k: int) -> npt.NDArray[np.intp]:
    k = min(k, scores.shape[1])
    return np.argpartition(-scores, k - 1, axis=1)[:, :k]


def _solve(old: Vectors, new: Vectors, ridge: float) -> Vectors:
    """Ridge regression in float64 by its normal equations; directions that the data do not have get no weight."""
    left, right = old.astype(np.float64), new.astype(np.float64)
    gram = left.T @ left
    gram += ridge * np.trace(gram) / len(gram) * np.eye(len(gram))
    return (np.linalg.pinv(gram, hermitian=True) @ (left.T @ right)).astype(np.float32)
