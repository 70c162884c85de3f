"""Where vectors lie: the cells of a space, which of them grew or emptied, and whose documents show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from models.vectors import Vectors, fit_centres, nearest_centre
from storage.tables.nights import NightSums

__all__ = ["changed_cells", "fit_cells"]

CELLS = 32
FEWEST = 16  # vectors a cell that are needed to make some
SHOWN = 3  # cells of each kind, and documents of each


def fit_cells(vectors: Vectors) -> Vectors | None:
    """Make cells by k-means.

    Args:
        vectors: Of shape (n, dimension).

    Returns:
        Centres of shape (cells, dimension); None of too few vectors.
    """
    count = min(CELLS, len(vectors) // FEWEST)
    return None if count < 2 else fit_centres(vectors, count)


def changed_cells(
    vectors: Vectors, documents: Sequence[str], sources: Sequence[str], before: Sequence[NightSums], centres: Vectors
) -> dict[str, list[dict[str, Any]]]:
    """The cells that grew or emptied most against the nights before, with documents that lie in their middle.

    What was usual is mixed as tonight's sources are, so that a night of one source alone does not look like a change.

    Args:
        vectors: Tonight's, of shape (n, dimension).
        documents: The document of each.
        sources: The source of each.
        before: The nights before it.
        centres: Of the cells.

    Returns:
        `grew` and `emptied`: cell, share tonight, usual share, sources, and documents of tonight or of before.
    """
    cell = nearest_centre(vectors, centres)
    now = np.bincount(cell, minlength=len(centres)) / len(cell)
    usual = _usual(sources, before, len(centres))
    if usual is None:
        return {"grew": [], "emptied": []}
    # By the error of a share: two points more of a cell of one are more than two points more of a cell of fifty.
    change = (now - usual) / np.sqrt((usual * (1 - usual) + 1 / len(cell)) / len(cell))
    old, old_names, old_sources = _kept(before, vectors.shape[1])
    found: dict[str, list[dict[str, Any]]] = {"grew": [], "emptied": []}
    for number in np.argsort(-change)[:SHOWN]:
        if change[number] > 0:
            where = (vectors, documents, sources)
            found["grew"].append(_told(int(number), now, usual, _middle(*where, centres, int(number))))
    for number in np.argsort(change)[:SHOWN]:
        if change[number] < 0:
            found["emptied"].append(
                _told(int(number), now, usual, _middle(old, old_names, old_sources, centres, int(number)))
            )
    return found


def _usual(sources: Sequence[str], before: Sequence[NightSums], cells: int) -> npt.NDArray[np.float64] | None:
    counts: dict[str, npt.NDArray[np.float64]] = {}
    for night in before:
        if len(night.cells) == cells:
            counts[night.source] = counts.get(night.source, np.zeros(cells)) + np.array(night.cells)
    known = {source: sum(each == source for each in sources) for source in sorted(set(sources)) if source in counts}
    whole = sum(known.values())
    if not whole:
        return None
    parts = [known[source] / whole * counts[source] / counts[source].sum() for source in known]
    return np.asarray(np.sum(parts, axis=0))


def _kept(before: Sequence[NightSums], dimension: int) -> tuple[Vectors, list[str], list[str]]:
    empty = np.empty((0, dimension), dtype=np.float32)
    kept = np.concatenate([empty, *(night.kept for night in before)])
    names = [name for night in before for name in night.names]
    return kept, names, [night.source for night in before for _ in night.names]


def _middle(
    vectors: Vectors, documents: Sequence[str], sources: Sequence[str], centres: Vectors, number: int
) -> list[dict[str, str]]:
    """The documents of the vectors that lie nearest to the middle of a cell, each once."""
    mine = np.flatnonzero(nearest_centre(vectors, centres) == number) if len(vectors) else np.empty(0, dtype=np.int64)
    order = mine[np.argsort(((vectors[mine] - centres[number]) ** 2).sum(axis=1), kind="stable")]
    named = dict.fromkeys((sources[at], documents[at]) for at in order)
    return [{"source": source, "document": document} for source, document in list(named)[:SHOWN]]


def _told(
    number: int, now: npt.NDArray[Any], usual: npt.NDArray[Any], middle: Sequence[Mapping[str, str]]
) -> dict[str, Any]:
    return {
        "cell": number,
        "share": round(float(now[number]), 4),
        "usual": round(float(usual[number]), 4),
        "sources": sorted({each["source"] for each in middle}),
        "documents": list(middle),
    }
