"""The first stage of a search: by vectors, by words or by both, with what either side says of the chunks found."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Literal, NamedTuple, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
import polars as pl

from models.encoder import Encoder
from models.rerank.base import Side
from storage.filters import Where
from storage.reader import Hit, Reader
from storage.tables.releases import Release
from storage.tables.roles import Fusion
from tasks.search.fuse import fuse

__all__ = ["MODES", "Answers", "Asked", "Mode", "Sides", "answers", "mode_of"]

UNFITTED = Fusion(weight=0.25)  # for whoever asks for hybrid search of a release that had no questions to fit it
# Chunks whose words are scored for a re-ranker: far deeper than what it orders, for a candidate that words rank 90th is
# still better than one without a word in common.
WIDE = 200

Mode = Literal["dense", "text", "hybrid"]
Asked = Literal["auto", "dense", "text", "hybrid"]
MODES: tuple[Asked, ...] = get_args(Asked)
Sides: TypeAlias = tuple[dict[str, float], dict[str, float]]  # chunk to its score by vectors, and by words


class Answers(NamedTuple):
    """What the first stage says of some queries, in their order.

    Attributes:
        hits: The best chunks of each query.
        sides: What each side scored the chunks that it found.
        vectors: Of the queries, float32 of shape (queries, dimension); None where vectors were not compared.
    """

    hits: list[list[Hit]]
    sides: list[Sides]
    vectors: npt.NDArray[np.float32] | None


def mode_of(release: Release, asked: Asked = "auto") -> Mode:
    """How a release is searched: by both where questions showed that words help, else by vectors."""
    if asked != "auto":
        return asked
    return "hybrid" if release.text.hybrid else "dense"


def answers(
    reader: Reader,
    encoder: Callable[[], Encoder],
    asked: Sequence[str],
    k: int,
    where: Where | None = None,
    mode: Mode = "dense",
    *,
    weighed: Collection[Side] = (),
) -> Answers:
    """Find the k best chunks of each query, and what each side scored the chunks that it found.

    A re-ranker is tried on what this gives, and later orders what this gives: the same hits, whatever sides are scored.

    Args:
        reader: The release.
        encoder: Opens its encoder; called only where vectors are compared.
        asked: The queries, none of them blank.
        k: Hits a query.
        where: Column to the values that a chunk may have in it, as `Reader.search` takes it.
        mode: By vectors, by words, or by both.
        weighed: Sides that are asked too where the mode leaves them out and the release has them: a re-ranker reads
            their scores.

    Raises:
        InputError: The encoder is of another space, `where` names a column that cannot be filtered, or the release
            has no full-text index to search by words.
    """
    fusion = reader.release.text.fusion or UNFITTED
    deep = max(k, fusion.depth)
    text, dense, vectors = pl.DataFrame(), pl.DataFrame(), None
    worded = mode != "dense" or ("words" in weighed and reader.release.text.index.text is not None)
    if worded:  # first: a release without the index costs no encoder
        text = reader.words(asked, max(deep, WIDE) if "words" in weighed else k if mode == "text" else deep, where)
    if mode == "dense":
        opened = encoder()
        vectors = opened.encode_queries(asked)
        hits = reader.search(vectors, k, space=opened.space.id, where=where)
        by_vectors = [_scores(each) for each in hits]
        return Answers(hits, [*zip(by_vectors, _by_query(text, len(asked)), strict=True)], vectors)
    if mode == "hybrid" or "dense" in weighed:
        opened = encoder()
        reader.require(opened.space.id)
        vectors = opened.encode_queries(asked)
        dense = reader.dense(vectors, deep, where)
    ranked = text if mode == "text" else fuse(dense, text, fusion.weight, fusion.depth, level="id")
    hits = reader.hits(ranked.filter(pl.int_range(pl.len()).over("query") < k), len(asked))
    sides = [*zip(_by_query(dense, len(asked)), _by_query(text, len(asked)), strict=True)]
    return Answers(hits, sides, vectors)


def _scores(hits: Sequence[Hit]) -> dict[str, float]:
    return {hit.chunk: hit.score for hit in hits}


def _by_query(ranked: pl.DataFrame, queries: int) -> list[dict[str, float]]:
    """Chunk to score, for each query; nothing where that side was not asked."""
    found: list[dict[str, float]] = [{} for _ in range(queries)]
    if ranked.width:
        for query, chunk, score in ranked.select("query", "id", "score").iter_rows():
            found[query][chunk] = score
    return found
