"""The figures of what arrives as vectors: how far its mean moved within sources, and the cells that show it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from models.vectors import Vectors, nearest_centre
from storage.tables.nights import NightSums
from tasks.watch.cells import changed_cells, fit_cells
from tasks.watch.classifier import separability
from tasks.watch.config import DriftConfig
from tasks.watch.difference import Sums, difference, noise, pooled, stratified, summed
from tasks.watch.figures import Family, Figure
from tasks.watch.night import CHUNKS, Night, own

__all__ = ["NAME", "EmbeddingsResult", "Sample", "classified", "measure_embeddings", "sample"]

NAME = "mean_difference"
SEED = 0
EACH = 4  # chunks of one document: one long document is not a hundred draws
KEPT = 100  # vectors of a night that are kept for classifier and examples


@dataclass(frozen=True)
class Sample:
    """Vectors that are new this night.

    Attributes:
        vectors: Of shape (n, dimension), in random order.
        documents: The document of each.
        sources: The source of each.
    """

    vectors: Vectors
    documents: list[str]
    sources: list[str]

    def by_source(self) -> dict[str, Sample]:
        """Source to its part."""
        parts = {}
        for source in sorted(set(self.sources)):
            mine = [at for at, each in enumerate(self.sources) if each == source]
            parts[source] = Sample(self.vectors[mine], [self.documents[at] for at in mine], [source] * len(mine))
        return parts


@dataclass(frozen=True)
class EmbeddingsResult:
    """What the vectors of a night say.

    Attributes:
        figures: The mean difference of the whole and of each source.
        sums: What the next nights compare with.
        centres: Cells that were made this night; None where there were some, or too few vectors.
    """

    figures: tuple[Figure, ...]
    sums: tuple[NightSums, ...]
    centres: Vectors | None = None


def sample(night: Night, most: int, seed: int = SEED) -> Sample:
    """Draw vectors of chunks that are new this night, a few of each document at most.

    Args:
        night: The night; it must have written its chunks.
        most: How many, at most.
        seed: Of the draw: the same chunks give the same sample, in whatever order they came.
    """
    if night.table is None:
        raise ValueError(f"the night of run {night.run} wrote no chunks")
    drawn = _first(night.chunks(), most, seed).with_row_index("at")
    ids, vectors = night.table.vectors_of(drawn["id"])
    # Left from the table's order, which is another than that of the draw: back to that one.
    placed = (
        pl.DataFrame({"id": ids}, schema={"id": pl.String})
        .join(drawn, on="id", how="left", maintain_order="left")
        .with_row_index("row")
    )
    back = placed.sort("at")
    return Sample(vectors[back["row"].to_numpy()], back["document"].to_list(), back["source"].to_list())


def _first(chunks: Iterable[pl.DataFrame], most: int, seed: int) -> pl.DataFrame:
    """The first chunks in a random order, a few of each document at most; no more of them are held than that."""
    schema = {**CHUNKS, "lot": pl.UInt64}
    found = pl.DataFrame(schema=schema)
    for part in chunks:
        drawn = part.with_columns(pl.col("id").hash(seed).alias("lot"))
        if found.height == most:
            drawn = drawn.filter(pl.col("lot") < found["lot"][-1])
        both = pl.concat([found, drawn.select(list(schema))]).sort("lot")
        # Whoever drops out here has so many before it, and others that come can only add to them.
        found = own(both.filter(pl.int_range(pl.len()).over("key") < EACH).head(most))
    return found


def measure_embeddings(
    drawn: Sample, night: Night, before: Sequence[NightSums], centres: Vectors | None, config: DriftConfig
) -> EmbeddingsResult:
    """Compare a night's vectors with those of the nights before, source by source and as a whole.

    Args:
        drawn: The night's vectors.
        night: The night.
        before: The nights before it in the same space.
        centres: Cells of the space; None before there are any.
        config: How few documents say nothing.
    """
    parts = drawn.by_source()
    enough = {source: part for source, part in parts.items() if len(set(part.documents)) >= config.least}
    made = fit_cells(drawn.vectors) if centres is None else None
    cells = made if centres is None else centres
    past = _pooled(before)
    now = {source: summed(part.vectors, part.documents) for source, part in enough.items()}
    figures = list(_figures(enough, now, past, night, config))
    if cells is not None and figures:
        shown = changed_cells(drawn.vectors, drawn.documents, drawn.sources, before, cells)
        figures[0] = replace(figures[0], detail={**figures[0].detail, **shown})
    sums = tuple(_kept(night, source, part, cells, len(drawn.documents)) for source, part in parts.items())
    return EmbeddingsResult(tuple(figures), sums, made)


def classified(figure: Figure, drawn: Sample, before: Sequence[NightSums]) -> Figure:
    """Add to a figure how well a classifier tells its vectors from earlier ones.

    Args:
        figure: Of the whole or of a source.
        drawn: The night's vectors.
        before: The nights before it.
    """
    mine = drawn if figure.source is None else drawn.by_source()[figure.source]
    # Of the sources that are here tonight: a classifier would else learn to tell sources.
    nights = [sums for sums in before if sums.source in mine.sources and len(sums.kept)]
    if not nights:
        return figure
    kept = np.concatenate([sums.kept for sums in nights])
    auc = separability(mine.vectors, mine.documents, kept, [name for sums in nights for name in sums.names])
    return figure if auc is None else replace(figure, detail={**figure.detail, "auc": round(auc, 4)})


def _figures(
    parts: Mapping[str, Sample], now: Mapping[str, Sums], past: Mapping[str, Sums], night: Night, config: DriftConfig
) -> list[Figure]:
    """The whole first, then the sources."""
    shared = [name for name in now if name in past and past[name].documents >= config.least]
    whole = stratified({name: now[name] for name in shared}, past)
    if whole is None:
        return []
    error = {name: noise(parts[name].vectors, parts[name].documents) for name in shared}
    error = {name: value * (1 + now[name].vectors / past[name].vectors) for name, value in error.items()}
    count = sum(now[name].vectors for name in shared)
    # As if all sources varied alike, which is the most that the products between them can add.
    mixed = sum((now[name].vectors / count) ** 2 * error[name] for name in shared)
    moved = {name: difference(now[name], past[name]) for name in shared}
    told = {name: round(value, 6) for name, value in sorted(moved.items(), key=lambda item: -item[1])}
    detail: dict[str, Any] = {"vectors": count, "sources": told}
    found = [Figure(Family.EMBEDDINGS, NAME, whole, None, detail, float(mixed), night.space)]
    for name in shared if len(shared) > 1 else ():
        own = {"vectors": now[name].vectors, "documents": now[name].documents}
        found.append(Figure(Family.EMBEDDINGS, NAME, moved[name], name, own, error[name], night.space))
    return found


def _pooled(before: Sequence[NightSums]) -> dict[str, Sums]:
    found = {}
    for source in sorted({sums.source for sums in before}):
        whole = pooled(Sums.of(sums) for sums in before if sums.source == source)
        if whole is not None and whole.sound:
            found[source] = whole
    return found


def _kept(night: Night, source: str, part: Sample, cells: Vectors | None, whole: int) -> NightSums:
    sums = summed(part.vectors, part.documents)
    few = max(1, round(KEPT * len(part.documents) / whole))
    counts = [] if cells is None else np.bincount(nearest_centre(part.vectors, cells), minlength=len(cells)).tolist()
    return NightSums(
        run=night.run,
        source=source,
        space=night.space,
        created=night.now,
        documents=sums.documents,
        vectors=sums.vectors,
        pairs=sums.pairs,
        squares=sums.squares,
        total=sums.total,
        cells=tuple(counts),
        kept=part.vectors[:few],
        names=tuple(part.documents[:few]),
    )
