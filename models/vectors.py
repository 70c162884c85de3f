"""Vectors: their length, the centres of many, and which of these is nearest."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["Vectors", "fit_centres", "nearest_centre", "unit"]

Vectors = npt.NDArray[np.float32]

ROUNDS = 12
BLOCK = 4_096  # vectors that are compared at once: memory stays that of so many times the centres


def fit_centres(vectors: Vectors, count: int, seed: int = 0) -> Vectors:
    """Find centres by k-means (Lloyd 1982), beginning with some of the vectors.

    A centre that is nearest to no vector stays where it is.

    Args:
        vectors: Of shape (n, dimension), finite.
        count: How many centres, at most n.
        seed: Of the vectors that it begins with.

    Returns:
        Centres of shape (count, dimension).
    """
    centres = vectors[np.random.default_rng(seed).choice(len(vectors), count, replace=False)]
    for _ in range(ROUNDS):
        sums, members = np.zeros_like(centres), np.zeros(count, dtype=np.int64)
        for start in range(0, len(vectors), BLOCK):
            block = vectors[start : start + BLOCK]
            nearest = nearest_centre(block, centres)
            order = np.argsort(nearest, kind="stable")
            held, first = np.unique(nearest[order], return_index=True)
            sums[held] += np.add.reduceat(block[order], first, axis=0)
            members += np.bincount(nearest, minlength=count)
        held = np.flatnonzero(members)
        centres[held] = sums[held] / members[held, None]
    return centres


def nearest_centre(vectors: Vectors, centres: Vectors) -> npt.NDArray[np.int64]:
    """The number of the centre that is nearest to each vector by Euclidean distance, of shape (n,)."""
    return np.asarray(np.argmin((centres**2).sum(axis=1) - 2 * (vectors @ centres.T), axis=1))


def unit(vectors: Vectors) -> Vectors:
    """Vectors of shape (n, dimension) scaled to unit length; one without length stays as it is."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    norms[norms == 0] = 1
    return np.asarray(vectors / norms, dtype=np.float32)
