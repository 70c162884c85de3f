"""What readers hold: one release, its pinned tables and nothing that can move under them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from storage.database import open_table
from storage.errors import InputError
from storage.explain import explain
from storage.filters import Where, expression
from storage.pinned import Pinned, found
from storage.tables.chunks import Span
from storage.tables.releases import Release
from storage.tables.store import Store

if TYPE_CHECKING:
    from lancedb.expr import Expr

__all__ = ["Hit", "Reader"]

_FOUND = ["id", "key", "source", "document", "text", "start", "end", "_distance"]


@dataclass(frozen=True)
class Hit:
    """One chunk that a search found.

    Attributes:
        score: Cosine similarity, 1 at best.
        document: Id of the document in its source.
        source: Name of the source.
        title: Title of the document.
        text: Text of the chunk: `document[start:end]`.
        start: First character of the chunk in the normalised document.
        end: Character after its last.
        chunk: Id of the chunk, for `explain`.
    """

    score: float
    document: str
    source: str
    title: str | None
    text: str
    start: int
    end: int
    chunk: str

    @property
    def span(self) -> Span:
        """Where the chunk stands in its document."""
        return Span(self.start, self.end)

    def to_dict(self) -> dict[str, Any]:
        """The hit as JSON-able values."""
        return asdict(self)


class Reader:
    """A release, opened in LanceDB. Refreshes, rollbacks and clean-ups that happen later do not reach it.

    Args:
        store: The store.
        release: The release to read.

    Raises:
        TableMissing: A table of the release, or its tag, is gone.
    """

    def __init__(self, store: Store, release: Release) -> None:
        self.pinned = Pinned.of(store, release)
        self.chunks = open_table(store, release.chunks, release.tag)

    @property
    def store(self) -> Store:
        """The store."""
        return self.pinned.store

    @property
    def release(self) -> Release:
        """The release."""
        return self.pinned.release

    @classmethod
    def open(cls, uri: str, release: int | None = None) -> Self:
        """Open a release of a store, the current one by default.

        Raises:
            InputError: Nothing is published, the release is unknown or no longer kept, or a later version of Tidemark
                made the store.
        """
        return found(Store(uri), release, cls)

    def search(
        self,
        queries: np.ndarray,
        k: int = 10,
        *,
        space: str | None = None,
        where: Where | None = None,
        exact: bool = False,
    ) -> list[list[Hit]]:
        """Find the nearest chunks of each query.

        Args:
            queries: float32 of shape (n, dimension), unit norm, from the release's own encoder.
            k: Hits a query; fewer where fewer chunks fit.
            space: Space id of the encoder that made them.
            where: Column to the values that a chunk may have in it: `source`, `document` or `key`. It is applied
                before the search, so that a filter that few chunks fit still gives k hits.
            exact: Compare with every chunk, also where there is an index.

        Raises:
            InputError: The queries come from another space: their scores would mean nothing. Or `where` names a
                column that cannot be filtered.
        """
        if space is not None and space != self.release.space:
            raise InputError(
                f"queries of space {space} cannot search release {self.release.seq}, which is of space "
                f"{self.release.space}: use the release's own encoder (models/{self.release.space} in the store)"
            )
        fits = expression(where) if where else None
        rows = [self._nearest(query, k, fits, exact) for query in queries]
        titles = self.pinned.documents.titles({row["key"] for found in rows for row in found})
        return [[_hit(row, titles) for row in found] for found in rows]

    def explain(self, chunk: str) -> dict[str, Any]:
        """Everything that made one chunk: source, revision, span, chunker, space, run and release.

        Raises:
            InputError: The release holds no such chunk.
        """
        return explain(self.pinned, chunk)

    def _nearest(self, query: np.ndarray, k: int, fits: Expr | None, exact: bool) -> list[dict[str, Any]]:
        index = self.release.text.index
        asked: Any = self.chunks.search(query, vector_column_name="vector", query_type="vector")
        asked = asked.distance_type("cosine").limit(k).select(_FOUND)
        if exact or not index.approximate:
            asked = asked.bypass_vector_index()
        else:  # codes of one bit rank too coarsely by themselves: always compare the best again with full vectors
            asked = asked.nprobes(index.nprobes).refine_factor(index.refine_factor)
        if fits is not None:  # where the probed cells hold fewer than k rows that fit, the others are searched too
            asked = asked.where(fits, prefilter=True).maximum_nprobes(0)
        rows: list[dict[str, Any]] = asked.to_arrow().to_pylist()
        return rows


def _hit(row: Mapping[str, Any], titles: Mapping[str, str | None]) -> Hit:
    return Hit(
        score=round(1.0 - float(row["_distance"]), 6),
        document=row["document"],
        source=row["source"],
        title=titles.get(row["key"]),
        text=row["text"],
        start=row["start"],
        end=row["end"],
        chunk=row["id"],
    )
