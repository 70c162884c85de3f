"""What readers hold: one release, its pinned tables and nothing that can move under them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from storage.errors import InputError, TableMissing
from storage.tables.format import check
from storage.tables.releases import Release, Releases
from storage.tables.roles import IndexFacts
from storage.tables.runs import Runs
from storage.tables.store import Store, filter_in

if TYPE_CHECKING:
    import lance
    import pyarrow as pa

__all__ = ["Hit", "Reader", "nearest"]

_FOUND = ["id", "key", "source", "document", "text", "start", "end"]


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

    def to_dict(self) -> dict[str, Any]:
        """The hit as JSON-able values."""
        return asdict(self)


def nearest(
    chunks: lance.LanceDataset, query: np.ndarray, k: int, columns: Sequence[str], index: IndexFacts | None
) -> pa.Table:
    """The k rows of highest cosine similarity to a query, best first.

    Args:
        chunks: A chunk table at one version.
        query: float32 of shape (dimension,).
        k: How many rows.
        columns: Columns to return; `_distance` (1 - cosine) is added.
        index: How the index is searched; None to compare with every row.
    """
    wanted: dict[str, Any] = {"column": "vector", "q": query, "k": k, "metric": "cosine"}
    if index is None:
        wanted["use_index"] = False
    else:  # codes of one bit rank too coarsely by themselves: always compare the best again with full vectors
        wanted |= {"nprobes": index.nprobes, "refine_factor": index.refine_factor}
    scanner = chunks.scanner(columns=[*columns, "_distance"], nearest=wanted, disable_scoring_autoprojection=True)
    return scanner.to_table()


class Reader:
    """A release, opened. Refreshes, rollbacks and clean-ups that happen later do not reach it.

    Args:
        store: The store.
        release: The release to read.
    """

    def __init__(self, store: Store, release: Release) -> None:
        self.store = store
        self.release = release
        # By the tag, not the number: a table that was lost and made again has the numbers, and other rows behind them.
        self.chunks = store.open(release.chunks, release.tag)
        self.documents = store.open("documents", release.tag)
        self._index = release.text.index

    @classmethod
    def open(cls, uri: str, release: int | None = None) -> Self:
        """Open a release of a store, the current one by default.

        Raises:
            InputError: Nothing is published, the release is unknown or no longer kept, or a later version of Tidemark
                made the store.
        """
        store = Store(uri)
        check(store)
        releases = Releases(store)
        while True:
            found = releases.get(release)
            try:
                return cls(store, found)
            except TableMissing as error:
                # Between the two looks the current release was replaced and, where one is kept, let go.
                if release is None and releases.get().seq != found.seq:
                    continue
                raise InputError(
                    f"release {found.seq} is no longer kept (releases.keep); `tidemark releases` lists those that are"
                ) from error

    def search(self, queries: np.ndarray, k: int = 10, *, space: str | None = None) -> list[list[Hit]]:
        """Find the nearest chunks of each query.

        Args:
            queries: float32 of shape (n, dimension), unit norm, from the release's own encoder.
            k: Hits a query.
            space: Space id of the encoder that made them.

        Raises:
            InputError: The queries come from another space: their scores would mean nothing.
        """
        if space is not None and space != self.release.space:
            raise InputError(
                f"queries of space {space} cannot search release {self.release.seq}, which is of space "
                f"{self.release.space}: use the release's own encoder (models/{self.release.space} in the store)"
            )
        index = self._index if self._index.approximate else None
        found = [nearest(self.chunks, query, k, _FOUND, index).to_pylist() for query in queries]
        titles = self._titles({row["key"] for rows in found for row in rows})
        return [[_hit(row, titles) for row in rows] for rows in found]

    def explain(self, chunk: str) -> dict[str, Any]:
        """Everything that made one chunk: source, revision, span, chunker, space, run and release.

        Raises:
            InputError: The release holds no such chunk.
        """
        columns = ["id", "key", "source", "document", "ordinal", "start", "end", "tokens", "hash", "text"]
        try:
            rows = self.chunks.scanner(columns=columns, filter=filter_in("id", [chunk])).to_table().to_pylist()
        except ValueError:
            rows = []
        if not rows:
            raise InputError(
                f"release {self.release.seq} holds no chunk {chunk!r}; `tidemark search --json` gives ids of chunks"
            )
        row = rows[0]
        columns = [name for name in self.documents.schema.names if name not in {"text", "key"}]
        found = self.documents.scanner(columns=columns, filter=filter_in("key", [row["key"]])).to_table().to_pylist()
        document = found[0]
        release = self.release
        return {
            "chunk": row["id"],
            "text": row["text"],
            "span": {"start": row["start"], "end": row["end"], "ordinal": row["ordinal"], "tokens": row["tokens"]},
            "content_hash": row["hash"],
            "document": document | {"key": row["key"]},
            "chunker": release.text.chunker,
            "space": release.space,
            "encoder": release.text.encoder.to_dict(),
            "run": self._run(document["run"]),
            "release": {"release": release.seq, "created": release.created, "outcome": release.outcome},
        }

    def _titles(self, keys: set[str]) -> dict[str, str | None]:
        if not keys:
            return {}
        scanner = self.documents.scanner(columns=["key", "title"], filter=filter_in("key", sorted(keys)))
        return {row["key"]: row["title"] for row in scanner.to_table().to_pylist()}

    def _run(self, run: str) -> dict[str, Any]:
        row = Runs(self.store).find(run)
        return {name: row[name] for name in ("run", "started", "outcome", "release", "code")} if row else {"run": run}


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
