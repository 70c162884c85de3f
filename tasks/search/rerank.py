"""Order the best of a search once more, with the re-ranker that the release keeps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np

from models.encoder import Encoder
from models.rerank.base import Candidate, Reranker, open_reranker
from storage.reader import Hit
from storage.registry import Registry
from storage.tables.releases import Release
from storage.tables.roles import RERANKER
from storage.tables.store import Store

__all__ = ["DEPTH", "Reranking", "reranking"]

DEPTH = 20  # candidates a query: late interaction encodes each of them, some 15 ms a passage on a core


@dataclass
class Reranking:
    """A re-ranker at work, and the time that it took.

    Attributes:
        reranker: Scores the candidates of a query.
        depth: Candidates a query; what the first stage ranks below them stays below, in its own order.
        queries: Queries that were ordered so far.
        seconds: What that took.
    """

    reranker: Reranker
    depth: int = DEPTH
    queries: int = 0
    seconds: float = 0.0

    @property
    def milliseconds(self) -> float:
        """Mean of a query so far; 0 before the first."""
        return 1000 * self.seconds / self.queries if self.queries else 0.0

    def order(
        self,
        query: str,
        hits: Sequence[Hit],
        dense: Mapping[str, float] | None = None,
        words: Mapping[str, float] | None = None,
    ) -> list[Hit]:
        """Order the first `depth` hits of a query anew.

        Args:
            query: The query.
            hits: What the first stage found, best first.
            dense: Similarity by vectors of each chunk that these found; that of the hits themselves if None.
            words: BM25 of each chunk that words found.

        Returns:
            All hits. Those that were ordered have the score of the re-ranker, equal ones in the order of the first
            stage; the others keep theirs, which is of another scale.
        """
        best = hits[: self.depth]
        if not best:
            return [*hits]
        similar = {hit.chunk: hit.score for hit in best} if dense is None else dense
        matching = words or {}
        candidates = [Candidate(hit.text, similar.get(hit.chunk), matching.get(hit.chunk)) for hit in best]
        started = perf_counter()
        scores = self.reranker.rerank(query, candidates)
        self.seconds += perf_counter() - started
        self.queries += 1
        order = np.argsort(-scores, kind="stable")
        return [replace(best[at], score=round(float(scores[at]), 6)) for at in order] + [*hits[self.depth :]]


def reranking(store: Store, release: Release, encoder: Callable[[], Encoder], depth: int = DEPTH) -> Reranking | None:
    """Open the re-ranker of a release; None where it has none, or one that was tried beside another encoder.

    Args:
        store: The store.
        release: The release.
        encoder: Opens its text encoder; called only where late interaction compares token vectors.
        depth: Candidates a query.

    Raises:
        InputError: The store no longer keeps it.
        ModelError: It is damaged.
    """
    role = release.roles.get(RERANKER)
    # Weights that were fitted to the scores of one encoder say nothing of another's: until it is tried again, none.
    if role is None or role.encoder.parent not in {None, release.space}:
        return None
    return Reranking(open_reranker(Registry(store).fetch(role.space), encoder), depth)
