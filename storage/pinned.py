"""A release opened by its tag: tables that neither a refresh nor a clean-up moves or mistakes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self, TypeVar

from storage.errors import InputError, TableMissing
from storage.tables.chunks import ChunkTable
from storage.tables.documents import DocumentTable
from storage.tables.format import check
from storage.tables.releases import Release, Releases
from storage.tables.store import Store

__all__ = ["Pinned", "found"]

T = TypeVar("T")


@dataclass(frozen=True)
class Pinned:
    """A release and the tables of its text role.

    Attributes:
        store: The store.
        release: The release.
        chunks: Its chunks.
        documents: Its documents.
    """

    store: Store
    release: Release
    chunks: ChunkTable
    documents: DocumentTable

    @classmethod
    def of(cls, store: Store, release: Release) -> Self:
        """Open the tables of a release.

        By the tag, not the number: a table that was lost and made again has the numbers, and other rows behind them.
        What is not published yet has no tag; the run that makes it holds the lease, and nothing moves its versions.

        Raises:
            TableMissing: A table or its tag is gone.
            InputError: The record of the release, or a tag, was changed after it was published.
        """
        if release.intact is False:
            raise InputError(_damaged(release, "its record was changed after it was published"))
        chunks = ChunkTable(store, release.chunks, release.at(release.chunks))
        documents = DocumentTable(store, release.at("documents"))
        for name, found in ((release.chunks, chunks.version), ("documents", documents.version)):
            if found != release.tables[name]:
                made = release.tables[name]
                why = f"its tag names version {found} of {name}, where it was made of {made}"
                raise InputError(_damaged(release, why))
        return cls(store, release, chunks, documents)

    @classmethod
    def open(cls, uri: str, release: int | None = None) -> Self:
        """Open a release of a store, the current one by default.

        Raises:
            InputError: Nothing is published, the release is unknown or no longer kept, or a later version of Tidemark
                made the store.
        """
        return found(Store(uri), release, cls.of)


def _damaged(release: Release, why: str) -> str:
    return f"release {release.seq} is damaged: {why}; `tidemark audit` says more and how to repair it"


def found(store: Store, seq: int | None, open_: Callable[[Store, Release], T]) -> T:
    """Look a release up and open it; where it is the current one, look again when it was replaced meanwhile.

    Args:
        store: The store.
        seq: Number of the release; the current one if None.
        open_: Opens its tables; raises TableMissing where they are not kept.

    Raises:
        InputError: Nothing is published, the release is unknown or no longer kept, or a later version of Tidemark
            made the store.
    """
    check(store)
    releases = Releases(store)
    while True:
        release = releases.get(seq)
        try:
            return open_(store, release)
        except TableMissing as error:
            # Between the two looks the current release was replaced and, where one is kept, let go.
            if seq is None and releases.get().seq != release.seq:
                continue
            raise InputError(
                f"release {release.seq} is no longer kept (releases.keep); `tidemark releases` lists those that are"
            ) from error
