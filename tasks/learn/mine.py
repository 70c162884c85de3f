"""Mine hard negatives: what our own index finds for a question, and what does not answer it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import polars as pl

from storage.tables.chunks import ChunkTable
from tasks.search.exact import nearest_exact

__all__ = ["MARGIN", "NEGATIVES", "RANKS", "SLICE", "mine"]

NEGATIVES = pl.Schema(
    {
        "query": pl.UInt32,
        "key": pl.String,
        "id": pl.String,
        "passage": pl.String,
        "score": pl.Float32,
        "rank": pl.UInt32,
    }
)

RANKS = (3, 40)  # the first two are too often answers that nobody has judged
MARGIN = 0.95  # of the positive's score: what comes nearer may well be an answer too
SLICE = 2_048  # questions at once
_CHUNKS = 2  # found for each document that is wanted: most documents have few that come near


def mine(
    vectors: npt.NDArray[np.float32],
    positives: pl.DataFrame,
    chunks: ChunkTable,
    *,
    n: int,
    families: pl.DataFrame | None = None,
    keys: pl.Series | None = None,
    ranks: tuple[int, int] = RANKS,
    margin: float = MARGIN,
) -> Iterator[pl.DataFrame]:
    """Yield the hard negatives of some questions at a time.

    A document stands where its best chunk does. Of those between two ranks the nearest are taken whose score is below a
    share of the positive's (positive-aware mining: Moreira et al., "NV-Retriever", 2024) and that are no relatives of
    any positive. It holds a slice of the table and what a slice of the questions found; the same input gives the same
    negatives.

    Args:
        vectors: float32 of shape (questions, dimension), of unit norm.
        positives: query (number of the question, UInt32) and key of each document that answers it.
        chunks: The chunks that are searched.
        n: Negatives a question, at most.
        families: key, family: documents of one content or one duplicate cluster; a key may have several.
        keys: Documents that may be negatives; all if None.
        ranks: First and last rank, both counted in.
        margin: Share of the score of the question's best positive.

    Yields:
        NEGATIVES: number of the question, document, id and text of its chunk, score, rank from 1; best first.
    """
    kin = pl.DataFrame(schema={"key": pl.String, "family": pl.String}) if families is None else families
    for first in range(0, len(vectors), SLICE):
        asked = vectors[first : first + SLICE]
        mine_ = positives.filter(pl.col("query").is_between(first, first + len(asked) - 1))
        right = mine_.select((pl.col("query") - first).cast(pl.UInt32).alias("query"), "key").unique()
        found = _ranked(nearest_exact(chunks, asked, ranks[1] * _CHUNKS, keys=keys), ranks[1])
        limits = _limits(asked, right, chunks, margin)
        # Inner: a question none of whose positives is in the table has no limit, and so no negatives.
        near = found.join(limits, on="query", how="inner", maintain_order="left").filter(
            (pl.col("rank") >= ranks[0]) & (pl.col("score") < pl.col("limit"))
        )
        # Anti: what answers the question, or is a relative of what does, is never wrong.
        wrong = near.join(_related(right, kin), on=["query", "key"], how="anti", maintain_order="left")
        taken = wrong.group_by("query", maintain_order=True).head(n)
        texts = _texts(taken, chunks)
        # Inner: each chunk that was found has a text.
        whole = taken.join(texts, on="id", how="inner", maintain_order="left")
        numbered = whole.with_columns((pl.col("query") + first).cast(pl.UInt32), pl.col("score").cast(pl.Float32))
        yield numbered.select(NEGATIVES.names())


def _ranked(found: pl.DataFrame, last: int) -> pl.DataFrame:
    """The best chunk of each document, with the rank of the document for the question."""
    best = found.sort("query", "score", "id", descending=[False, True, False]).unique(
        ["query", "key"], keep="first", maintain_order=True
    )
    ranked = best.with_columns(pl.int_range(1, pl.len() + 1, dtype=pl.UInt32).over("query").alias("rank"))
    return ranked.filter(pl.col("rank") <= last)


def _limits(asked: npt.NDArray[np.float32], right: pl.DataFrame, chunks: ChunkTable, margin: float) -> pl.DataFrame:
    """The score of each question's best positive, times the margin: found or not, it is computed from its chunks."""
    if right.is_empty():
        return pl.DataFrame(schema={"query": pl.UInt32, "limit": pl.Float32})
    there = chunks.of(right["key"].unique().sort(), ["key", "vector"])
    # Inner: each question beside every chunk of its positives.
    both = right.join(there.drop("vector").with_row_index("at"), on="key", how="inner")
    matrix = there["vector"].to_numpy().astype(np.float32, copy=False).reshape(-1, chunks.dimension)
    norms = np.linalg.norm(matrix, axis=1)
    at = both["at"].to_numpy()
    scores = np.einsum("ij,ij->i", asked[both["query"].to_numpy()], matrix[at]) / np.maximum(norms[at], 1e-12)
    scored = both.select("query", pl.Series("score", np.round(scores, 6).astype(np.float32)))
    return scored.group_by("query").agg((pl.col("score").max() * margin).cast(pl.Float32).alias("limit"))


def _related(right: pl.DataFrame, families: pl.DataFrame) -> pl.DataFrame:
    """Question and document: each positive, and every document of a family that one of them is in."""
    # Inner, twice: from the positives to their families, and from these to all who are in them.
    kin = right.join(families, on="key", how="inner").select("query", "family")
    others = kin.join(families, on="family", how="inner").select("query", "key")
    return pl.concat([right.select("query", "key"), others]).unique()


def _texts(taken: pl.DataFrame, chunks: ChunkTable) -> pl.DataFrame:
    """Id and text of the chunks that were taken."""
    if taken.is_empty():
        return pl.DataFrame(schema={"id": pl.String, "passage": pl.String})
    there = chunks.of(taken["key"].unique().sort(), ["id", "text"])
    return there.select("id", pl.col("text").alias("passage")).unique("id", keep="first")
