"""How far the mean of a night's vectors lies from that of earlier nights: unbiased, and blind to the mix of sources."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from models.vectors import Vectors

__all__ = ["Sums", "difference", "noise", "pooled", "stratified", "summed"]


@dataclass(frozen=True)
class Sums:
    """Vectors summed up, by documents: the chunks of one document are no independent draws.

    Attributes:
        documents: How many documents the vectors are of.
        vectors: How many there are.
        pairs: Sum over documents of the squared number of their vectors.
        squares: Sum over documents of the squared length of the sum of their vectors.
        total: Sum of all vectors, of shape (dimension,).
    """

    documents: int
    vectors: int
    pairs: float
    squares: float
    total: npt.NDArray[np.float64]

    @property
    def mean(self) -> npt.NDArray[np.float64]:
        """The mean vector."""
        return self.total / self.vectors

    @property
    def square(self) -> float:
        """The squared length of the true mean, unbiased: over pairs of vectors of two documents (a U-statistic)."""
        return (float(self.total @ self.total) - self.squares) / (self.vectors**2 - self.pairs)

    @property
    def sound(self) -> bool:
        """Whether it has two documents, of which alone the square of a mean can be told."""
        return self.documents > 1

    @classmethod
    def of(cls, other: Any) -> Sums:
        """The sums of anything that has them."""
        return cls(other.documents, other.vectors, other.pairs, other.squares, other.total)


def summed(vectors: Vectors, documents: Sequence[str]) -> Sums:
    """Sum vectors up.

    Args:
        vectors: Of shape (n, dimension).
        documents: The document of each.
    """
    each, count = _by_document(vectors, documents)
    return Sums(len(count), len(vectors), float((count**2).sum()), float((each**2).sum()), each.sum(axis=0))


def pooled(parts: Iterable[Sums]) -> Sums | None:
    """The sums of several nights as if they were one; None of none."""
    listed = list(parts)
    if not listed:
        return None
    whole = listed[0]
    for part in listed[1:]:
        whole = replace(
            whole,
            documents=whole.documents + part.documents,
            vectors=whole.vectors + part.vectors,
            pairs=whole.pairs + part.pairs,
            squares=whole.squares + part.squares,
            total=whole.total + part.total,
        )
    return whole


def difference(night: Sums, before: Sums) -> float:
    """The squared distance of the two true means, unbiased: the linear-kernel MMD (Gretton et al. 2012).

    Around 0 where nothing changed, below it as often as above, however many vectors there are.

    Args:
        night: Of two documents at least.
        before: Of two documents at least.
    """
    return night.square + before.square - 2 * float(night.mean @ before.mean)


def stratified(night: Mapping[str, Sums], before: Mapping[str, Sums]) -> float | None:
    """The squared length of the mean shift within sources, unbiased: another mix of sources is no shift.

    Each source is compared with itself, and the shifts are averaged by the vectors that it has tonight.

    Args:
        night: Source to its sums.
        before: The same of the nights before; sources that only one side has are left out.

    Returns:
        The figure; None where no source is in both.
    """
    sources = [name for name, sums in night.items() if sums.sound and name in before and before[name].sound]
    whole = sum(night[name].vectors for name in sources)
    if not whole:
        return None
    shares = {name: night[name].vectors / whole for name in sources}
    shifts = {name: shares[name] * (night[name].mean - before[name].mean) for name in sources}
    summed_up = np.sum(list(shifts.values()), axis=0)
    # Shifts of two sources are independent, so their products are unbiased; each with itself is not, and is replaced.
    biased = sum(float(shift @ shift) for shift in shifts.values())
    unbiased = sum(shares[name] ** 2 * difference(night[name], before[name]) for name in sources)
    return float(summed_up @ summed_up) - biased + unbiased


def noise(vectors: Vectors, documents: Sequence[str]) -> float:
    """The standard error that a night alone gives a difference where nothing changed: sqrt(2 tr(S^2)) / n.

    Args:
        vectors: Of shape (n, dimension), of one source.
        documents: The document of each.

    Returns:
        It, from the products of centred documents.
    """
    each, weight = _by_document(vectors, documents)
    centred = (each - weight[:, None] * (each.sum(axis=0) / weight.sum())).astype(np.float32)
    products = centred @ centred.T
    np.fill_diagonal(products, 0.0)
    return math.sqrt(2 * float(np.square(products, dtype=np.float64).sum())) / len(vectors) ** 2


def _by_document(vectors: Vectors, documents: Sequence[str]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """The sum of each document's vectors, of shape (documents, dimension), and how many they are."""
    number = {name: at for at, name in enumerate(dict.fromkeys(documents))}
    group = np.array([number[name] for name in documents], dtype=np.int64)
    each = np.zeros((len(number), vectors.shape[1]))
    np.add.at(each, group, vectors.astype(np.float64))
    return each, np.bincount(group, minlength=len(number))
