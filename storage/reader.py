"""What readers hold: one release, its pinned tables and nothing that can move under them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import polars as pl

from storage.database import open_table
from storage.errors import InputError
from storage.explain import explain
from storage.filters import Where, expression
from storage.pinned import Pinned, found
from storage.tables.chunks import Span
from storage.tables.releases import Release
from storage.tables.store import Store
from storage.tables.words import plain

if TYPE_CHECKING:
    from lancedb.expr import Expr

__all__ = ["RANKED", "Hit", "Reader"]

RANKED = pl.Schema(
    {
        "query": pl.UInt32,
        "id": pl.String,
        "key": pl.String,
        "source": pl.String,
        "document": pl.String,
        "score": pl.Float64,
    }
)

_NAMED = ["id", "key", "source", "document"]
_FOUND = [*_NAMED, "text", "start", "end", "_distance"]
DIGITS = 6  # of a score; further ones depend on the order of sums


@dataclass(frozen=True)
class Hit:
    """One chunk that a search found.

    Attributes:
        score: Cosine similarity, 1 at best. Of a search by words their BM25, which knows no best; of a hybrid search
            both sides' share, each scaled to 0 to 1 within the query: not to be compared between queries.
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
        self.chunks = open_table(store, release.chunks, release.at(release.chunks))

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
        self.require(space)
        fits = expression(where) if where else None
        rows = [self._nearest(query, k, fits, exact, _FOUND) for query in queries]
        titles = self.pinned.documents.titles({row["key"] for found in rows for row in found})
        return [[_hit(row, titles, 1.0 - float(row["_distance"])) for row in found] for found in rows]

    def require(self, space: str | None) -> None:
        """Refuse the encoder of another space.

        Raises:
            InputError: Vectors of that space would find nothing that means anything.
        """
        if space is not None and space != self.release.space:
            raise InputError(
                f"queries of space {space} cannot search release {self.release.seq}, which is of space "
                f"{self.release.space}: use the release's own encoder (models/{self.release.space} in the store)"
            )

    def dense(self, queries: np.ndarray, k: int, where: Where | None = None, *, exact: bool = False) -> pl.DataFrame:
        """Rank the chunks nearest to each query, as `search` does, but without their texts.

        Args:
            queries: float32 of shape (n, dimension), unit norm, from the release's own encoder.
            k: Chunks a query.
            where: Column to the values that a chunk may have in it, as `search` takes it.
            exact: Compare with every chunk, also where there is an index.

        Returns:
            RANKED, best first within a query; the score is the cosine similarity.

        Raises:
            InputError: `where` names a column that cannot be filtered.
        """
        fits = expression(where) if where else None
        columns = [*_NAMED, "_distance"]
        found = (self._nearest(query, k, fits, exact, columns) for query in queries)
        return _ranked([(row, 1.0 - float(row["_distance"])) for row in rows] for rows in found)

    def words(self, texts: Sequence[str], k: int, where: Where | None = None) -> pl.DataFrame:
        """Rank the chunks that share words with each text, by BM25.

        A text is words and nothing else: it is not read as a query language. Stop words count for nothing.

        Args:
            texts: The queries.
            k: Chunks a query; fewer where fewer share a word with it.
            where: Column to the values that a chunk may have in it, as `search` takes it.

        Returns:
            RANKED, best first within a query, the smaller id of equal scores; the score is that of BM25, above 0.

        Raises:
            InputError: The release has no full-text index, or `where` names a column that cannot be filtered.
        """
        if self.release.text.index.text is None:
            raise InputError(
                f"release {self.release.seq} has no full-text index: the next `tidemark refresh` that publishes makes "
                "one, where index.text is true; search it with --mode dense"
            )
        fits = expression(where) if where else None
        found = (self._matching(text, k, fits) for text in texts)
        return _ranked([(row, float(row["_score"])) for row in rows] for rows in found)

    def hits(self, ranked: pl.DataFrame, queries: int) -> list[list[Hit]]:
        """The chunks of rankings in full, all looked up together.

        Args:
            ranked: Columns query, id and score, best first within a query.
            queries: How many queries were asked.
        """
        columns = [name for name in _FOUND if name != "_distance"]
        rows = {row["id"]: row for row in self.pinned.chunks.some(ranked["id"].unique(), columns)}
        titles = self.pinned.documents.titles({row["key"] for row in rows.values()})
        found: list[list[Hit]] = [[] for _ in range(queries)]
        for query, chunk, score in ranked.select("query", "id", "score").iter_rows():
            found[query].append(_hit(rows[chunk], titles, score))
        return found

    def explain(self, chunk: str) -> dict[str, Any]:
        """Everything that made one chunk: source, revision, span, chunker, space, run and release.

        Raises:
            InputError: The release holds no such chunk.
        """
        return explain(self.pinned, chunk)

    def _nearest(
        self, query: np.ndarray, k: int, fits: Expr | None, exact: bool, columns: list[str]
    ) -> list[dict[str, Any]]:
        index = self.release.text.index
        asked: Any = self.chunks.search(query, vector_column_name="vector", query_type="vector")
        asked = asked.distance_type("cosine").limit(k).select(columns)
        if exact or not index.approximate:
            asked = asked.bypass_vector_index()
        else:  # codes of few bits rank too coarsely by themselves: always compare the best again with full vectors
            asked = asked.nprobes(index.nprobes).refine_factor(index.refine_factor)
        if fits is not None:  # where the probed cells hold fewer than k rows that fit, the others are searched too
            asked = asked.where(fits, prefilter=True).maximum_nprobes(0)
        rows: list[dict[str, Any]] = asked.to_arrow().to_pylist()
        return rows

    def _matching(self, text: str, k: int, fits: Expr | None) -> list[dict[str, Any]]:
        from lancedb.query import MatchQuery  # `chunks` has imported LanceDB already

        match = MatchQuery(plain(text), "text")  # type: ignore[call-arg]  # pydantic knows the defaults, mypy does not
        asked: Any = self.chunks.search(match, query_type="fts")
        asked = asked.limit(k).select([*_NAMED, "_score"])
        if fits is not None:
            asked = asked.where(fits, prefilter=True)
        rows: list[dict[str, Any]] = asked.to_arrow().to_pylist()
        return sorted(rows, key=lambda row: (-row["_score"], row["id"]))


def _ranked(found: Iterable[Sequence[tuple[Mapping[str, Any], float]]]) -> pl.DataFrame:
    """Rankings, one a query in order, as one frame."""
    rows = [
        (number, *(row[name] for name in _NAMED), round(score, DIGITS))
        for number, ranking in enumerate(found)
        for row, score in ranking
    ]
    return pl.DataFrame(rows, schema=RANKED, orient="row")


def _hit(row: Mapping[str, Any], titles: Mapping[str, str | None], score: float) -> Hit:
    return Hit(
        score=round(score, DIGITS),
        document=row["document"],
        source=row["source"],
        title=titles.get(row["key"]),
        text=row["text"],
        start=row["start"],
        end=row["end"],
        chunk=row["id"],
    )
