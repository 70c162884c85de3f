"""The map of a corpus: its vectors on a plane that stays the same from night to night."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from storage.errors import faults
from storage.pinned import Pinned
from storage.tables.planes import Planes
from storage.tables.releases import Release, Releases
from storage.tables.store import Store

__all__ = ["Plane", "Points", "fit_plane", "fix_plane", "on_the_map", "plane_of"]

logger = logging.getLogger(__name__)

SAMPLE = 3_000  # vectors that fix a plane, or are drawn on it
MARKED = 400  # of the new, and of the drifted, that are drawn beside them
SEED = 20_260
LEAST = 3  # points that make a plane


@dataclass(frozen=True)
class Plane:
    """Where vectors are drawn.

    Attributes:
        centre: Mean of the sample that fixed it, of shape (dimension,).
        axes: Its two directions, of shape (2, dimension) and unit length.
        release: The release that the sample is from.
    """

    centre: npt.NDArray[np.float32]
    axes: npt.NDArray[np.float32]
    release: int | None = None

    def place(self, vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Put vectors of shape (n, dimension) on the plane, as coordinates of shape (n, 2)."""
        return np.asarray((vectors - self.centre) @ self.axes.T, dtype=np.float32)


@dataclass(frozen=True)
class Points:
    """Chunks on a map.

    Attributes:
        places: Coordinates of shape (n, 2).
        sources: The source of each.
        kinds: `old`, `new` or `drifted`, of each.
        chunks: How many the release holds.
        release: The release whose sample fixed the plane.
    """

    places: npt.NDArray[np.float32]
    sources: list[str]
    kinds: list[str]
    chunks: int
    release: int | None


def fit_plane(vectors: npt.NDArray[np.float32], release: int | None = None) -> Plane:
    """Fix the plane on which vectors spread most: their first two principal components.

    Each direction points to where its largest number is positive, so that the same vectors give the same map.

    Args:
        vectors: Of shape (n, dimension).
        release: The release that they are from.

    Raises:
        ValueError: Fewer than three vectors, or shorter ones than two numbers.
    """
    if len(vectors) < LEAST or vectors.shape[1] < 2:
        raise ValueError(f"{vectors.shape} vectors make no plane")
    centre = vectors.mean(axis=0, dtype=np.float64)
    spread = vectors.astype(np.float64) - centre
    # Of the covariance, which is as small as a vector is long: a sample is some thousand times longer than wide.
    axes = np.linalg.eigh(spread.T @ spread)[1][:, [-1, -2]].T
    axes *= np.sign(axes[np.arange(2), np.abs(axes).argmax(axis=1)])[:, None]
    return Plane(centre.astype(np.float32), axes.astype(np.float32), release)


def fix_plane(store: Store) -> None:
    """Fix the plane of the current release's space for good, if it has none; its caller holds the lease.

    Whatever fails here is tried again the next night: the map costs no release.
    """
    try:
        release = Releases(store).current()
        if release is None or Planes(store).find(release.space) is not None:
            return
        found = _fitted(store, release)
        if found is not None:
            Planes(store).fix(_row(release, found))
    except faults() as error:
        logger.warning("the plane of the map was not fixed: %s", error)


def plane_of(store: Store, release: Release) -> Plane | None:
    """The plane of a release's space: as it was fixed, else that of the oldest kept release of the space.

    Returns:
        None where there are too few chunks for one.
    """
    row = Planes(store).find(release.space)
    if row is not None:
        axes = np.array([row["across"], row["up"]], dtype=np.float32)
        return Plane(np.array(row["centre"], dtype=np.float32), axes, row["release"])
    alike = [kept for kept in Releases(store).retained() if kept.space == release.space]
    return _fitted(store, alike[-1] if alike else release)


def on_the_map(pinned: Pinned, new: Collection[str], drifted: Collection[str]) -> Points | None:
    """Draw a sample of a release on the plane of its space, and mark what is new and what drifted.

    Args:
        pinned: The release.
        new: Keys of the documents that came or changed with it.
        drifted: Keys of the documents that an alarm names.

    Returns:
        None where there are too few chunks for a map.
    """
    plane = plane_of(pinned.store, pinned.release)
    if plane is None:
        return None
    chunks = pinned.chunks
    rows = chunks.rows
    marked = dict.fromkeys(chunks.offsets(new, MARKED), "new") | dict.fromkeys(
        chunks.offsets(drifted, MARKED), "drifted"
    )
    at = sorted({*_drawn(rows), *marked})
    names, vectors = chunks.sample(at, ["source"])
    # What is marked comes last, and so lies on top of the others.
    order = sorted(range(len(at)), key=lambda row: ("old", "new", "drifted").index(marked.get(at[row], "old")))
    return Points(
        places=plane.place(vectors)[order],
        sources=[names["source"][row] or "" for row in order],
        kinds=[marked.get(at[row], "old") for row in order],
        chunks=rows,
        release=plane.release,
    )


def _fitted(store: Store, release: Release) -> Plane | None:
    chunks = Pinned.of(store, release).chunks
    if chunks.rows < LEAST or chunks.dimension < 2:
        return None
    return fit_plane(chunks.take(_drawn(chunks.rows)), release.seq)


def _drawn(rows: int) -> list[int]:
    """The offsets of a sample, the same for the same number of rows."""
    if rows <= SAMPLE:
        return list(range(rows))
    return sorted(np.random.default_rng(SEED).choice(rows, SAMPLE, replace=False).tolist())


def _row(release: Release, plane: Plane) -> dict[str, Any]:
    return {
        "space": release.space,
        "release": release.seq,
        "sampled": SAMPLE,
        "centre": plane.centre.tolist(),
        "across": plane.axes[0].tolist(),
        "up": plane.axes[1].tolist(),
        "created": datetime.now(UTC),
    }
