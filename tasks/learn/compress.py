"""What smaller vectors cost: each kind against float32, on the same questions and the same pool."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from models.compress import fit_svd, from_bits, hamming, map_vectors, to_bits, to_int8
from models.encoder import Encoder, Vectors
from models.metrics import score
from models.statistics import paired
from storage.reader import Reader
from tasks.learn.config import QualityConfig
from tasks.learn.questions import QuestionSet
from tasks.learn.subject import Catalogue

__all__ = ["Compressed", "Pool", "compare", "pool_of"]

Scores = npt.NDArray[np.float32]
# From queries (m, width) to the numbers of the best vectors (m, depth), best first.
Search = Callable[[Vectors], npt.NDArray[np.intp]]

DEPTH = 100  # vectors a question that are looked at: ten documents' worth, also where each has several chunks
OVERSAMPLE = 4  # times that many are found by their signs before they are compared again
SLICE = 4_096  # vectors that are made float32 again at once


@dataclass(frozen=True)
class Pool:
    """Vectors that questions are searched in; 1.5 kB a chunk of 384 dimensions.

    Attributes:
        vectors: Shape (n, width), unit norm.
        contents: Of each vector the content of its document.
        queries: Shape (m, width), unit norm.
        relevant: Of each question the contents that answer it, and their grades.
    """

    vectors: Vectors
    contents: npt.NDArray[np.object_]
    queries: Vectors
    relevant: list[dict[str, int]]


@dataclass(frozen=True)
class Compressed:
    """One kind of vectors, judged: a row of the report.

    Attributes:
        kind: How vectors are kept.
        dimension: Their length.
        bytes: Of a vector, all that a search needs.
        ndcg: nDCG@10.
        change: Its difference to float32, below 0 where it loses.
        low: Lower end of the interval of the change.
        high: Upper end.
        milliseconds: Of a query against the whole pool, in numpy.
        verdict: Whether it surely loses no more than is allowed.
        reason: The bar that it missed, or what it saves.
    """

    kind: str
    dimension: int
    bytes: float
    ndcg: float
    change: float
    low: float
    high: float
    milliseconds: float
    verdict: Literal["holds", "refused"]
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """The row as JSON-able values."""
        return asdict(self)


def pool_of(reader: Reader, encoder: Encoder, asked: QuestionSet) -> Pool:
    """The vectors of a release, and judged questions for them.

    Args:
        reader: The release.
        encoder: Its encoder.
        asked: The questions; they are searched in all that the release holds, or in their source.
    """
    catalogue = Catalogue(reader.pinned.documents)
    judged = catalogue.judged(asked)
    inside = dict(zip(catalogue.keys, catalogue.pool(asked.source), strict=True))
    content = dict(zip(catalogue.keys, catalogue.contents, strict=True))
    vectors, contents = [], []
    for part in reader.pinned.chunks.columns(["key", "vector"], rows=SLICE):
        own = np.array([inside[key] for key in part["key"]], dtype=np.bool_)
        vectors.append(part["vector"].to_numpy()[own])
        contents += [content[key] for key in part["key"].to_numpy()[own]]
    queries = encoder.encode_queries(judged.questions["text"].to_list())
    return Pool(np.concatenate(vectors), np.array(contents, dtype=object), queries, judged.relevant)


def compare(
    pool: Pool, quality: QualityConfig, dimensions: Sequence[int] = (), other: Vectors | None = None
) -> list[Compressed]:
    """Judge float32, float16, int8, binary and shorter vectors.

    Args:
        pool: Vectors and questions.
        quality: The bar: `max_compression_loss`.
        dimensions: Lengths that vectors are shortened to; half and a quarter of theirs if there are none.
        other: Vectors that the directions are found in; the pool's own if None, of which no question has a part.

    Returns:
        One row a kind, float32 first.
    """
    width = pool.vectors.shape[1]
    kinds: list[tuple[str, int, float, Search]] = [("float32", width, 4 * width, _dense(pool.vectors))]
    kinds.append(("float16", width, 2 * width, _dense(pool.vectors.astype(np.float16))))
    kinds.append(("int8", width, width, _rounded(pool.vectors)))
    kinds.append(("binary, again as int8", width, width + -(-width // 8), _signs(pool.vectors, again=True)))
    kinds.append(("binary, again as signs", width, -(-width // 8), _signs(pool.vectors, again=False)))
    known = pool.vectors if other is None else other
    for dimension in dimensions or (width // 2, width // 4):
        # A slice at a time, as a table would be read: the sum is what counts, not who holds the vectors.
        slices = (known[at : at + SLICE] for at in range(0, len(known), SLICE))
        kinds.append(_shortened(pool, fit_svd(slices, dimension)))
    base: npt.NDArray[np.float64] | None = None
    rows = []
    for kind in kinds:
        ndcg, took = _judged(pool, kind[-1])
        base = ndcg if base is None else base
        rows.append(_row(*kind[:3], ndcg, base, took, quality))
    return rows


def _row(
    kind: str,
    dimension: int,
    size: float,
    ndcg: npt.NDArray[np.float64],
    base: npt.NDArray[np.float64],
    took: float,
    quality: QualityConfig,
) -> Compressed:
    found = paired(base, ndcg, quality.confidence)
    holds = found.low >= -quality.max_compression_loss
    change = f"{found.difference:+.4f} [{found.low:.4f}, {found.high:.4f}] nDCG@10 for {size:.0f} bytes a vector"
    bar = f"; quality.max_compression_loss allows {quality.max_compression_loss:g}, and it may lose more"
    return Compressed(
        kind=kind,
        dimension=dimension,
        bytes=size,
        ndcg=float(ndcg.mean()),
        change=found.difference,
        low=found.low,
        high=found.high,
        milliseconds=took,
        verdict="holds" if holds else "refused",
        reason=change if holds else change + bar,
    )


def _judged(pool: Pool, search: Search) -> tuple[npt.NDArray[np.float64], float]:
    """nDCG@10 of each question, and the milliseconds of one."""
    started = perf_counter()
    numbers = search(pool.queries)
    took = 1000 * (perf_counter() - started) / len(pool.queries)
    # Several chunks of one document are one answer, at the place of its best.
    ranked = [list(dict.fromkeys(pool.contents[row])) for row in numbers]
    return score(ranked, pool.relevant)["ndcg@10"], took


def _dense(vectors: npt.NDArray[np.floating[Any]]) -> Search:
    """Compare with every vector in float32, whatever it is kept in: sums of 16 bits would lose what was kept."""

    def search(queries: Vectors) -> npt.NDArray[np.intp]:
        scores = np.empty((len(queries), len(vectors)), dtype=np.float32)
        for at in range(0, len(vectors), SLICE):
            scores[:, at : at + SLICE] = queries @ vectors[at : at + SLICE].astype(np.float32, copy=False).T
        return _top(scores, DEPTH)

    return search


def _rounded(vectors: Vectors) -> Search:
    kept = to_int8(vectors)

    def search(queries: Vectors) -> npt.NDArray[np.intp]:
        scores = np.empty((len(queries), len(vectors)), dtype=np.float32)
        for at in range(0, len(vectors), SLICE):
            scores[:, at : at + SLICE] = queries @ kept.vectors(slice(at, at + SLICE)).T
        return _top(scores, DEPTH)

    return search


def _signs(vectors: Vectors, again: bool) -> Search:
    """Find candidates by their signs and compare them again with the whole query: as int8, or with the signs alone."""
    bits, kept, width = to_bits(vectors), to_int8(vectors), vectors.shape[1]

    def search(queries: Vectors) -> npt.NDArray[np.intp]:
        found = np.empty((len(queries), min(DEPTH, len(vectors))), dtype=np.intp)
        for row, query in enumerate(queries):
            near = _top(-hamming(to_bits(query[None]), bits), OVERSAMPLE * DEPTH)[0]
            closer = kept.vectors(near) if again else from_bits(bits[near], width)
            found[row] = near[_top((closer @ query)[None], DEPTH)[0]]
        return found

    return search


def _shortened(pool: Pool, matrix: Vectors) -> tuple[str, int, float, Search]:
    dimension = len(matrix)
    search = _dense(map_vectors(pool.vectors, matrix))
    return f"svd {dimension}", dimension, 4 * dimension, lambda queries: search(map_vectors(queries, matrix))


def _top(scores: npt.NDArray[Any], k: int) -> npt.NDArray[np.intp]:
    """Numbers of the k largest of each row, the largest first; of equal ones the first."""
    if k >= scores.shape[1]:
        return np.argsort(-scores, axis=1, kind="stable")
    near = np.sort(np.argpartition(-scores, k, axis=1)[:, :k], axis=1)
    order = np.argsort(-np.take_along_axis(scores, near, axis=1), axis=1, kind="stable")
    return np.take_along_axis(near, order, axis=1)
