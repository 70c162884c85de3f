"""Tell whether a reader could open a release and query it, without reading what it holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from storage.errors import TableMissing, Unreachable, faults, words
from storage.pinned import Pinned
from storage.registry import Registry
from storage.tables.index import nearest
from storage.tables.releases import Release
from storage.tables.roles import RERANKER
from storage.tables.store import Store

if TYPE_CHECKING:
    import lance

__all__ = ["files", "lost", "readable"]


def readable(store: Store, release: Release) -> str | None:
    """Why a reader could not use a release; None where it can.

    It opens the tables by their tag, looks for every file that they name, asks the index one query, or takes a row
    where there is none, and looks for the files of the encoder. Files are not read, so damage inside of one is the
    audit's to find.

    Args:
        store: The store.
        release: The release.

    Raises:
        InputError: The credentials of an object store are wrong.
        Unreachable: An object store does not answer: nothing is known of the release.
    """
    try:
        pinned = Pinned.of(store, release)
        return next(_faults(pinned), None)
    except Unreachable:
        raise
    except TableMissing as error:
        return str(error)
    except faults() as error:  # a file that is cut off
        return words(error)[:300]


def _faults(pinned: Pinned) -> Iterator[str]:
    store, release = pinned.store, pinned.release
    for name, table in ((release.chunks, pinned.chunks), ("documents", pinned.documents)):
        yield from lost(store, name, table.dataset)
    yield from Registry(store).missing(release.space)
    if RERANKER in release.roles:  # every search would fail
        yield from Registry(store).missing(release.roles[RERANKER].space)
    if pinned.chunks.rows and not _answers(pinned):
        yield f"a query of {release.chunks} finds nothing"


def _answers(pinned: Pinned) -> bool:
    """Whether a query has an answer; an exact one would read every vector, of which one tells as much."""
    chunks, index = pinned.chunks, pinned.release.text.index
    if not index.approximate:
        return bool(chunks.dataset.scanner(columns=["id", "vector"], limit=1).to_table().num_rows)
    query = np.full(chunks.dimension, chunks.dimension**-0.5, dtype=np.float32)  # any direction does
    return bool(nearest(chunks, query, 1, ["id"], index).num_rows)


def lost(store: Store, name: str, table: lance.LanceDataset) -> Iterator[str]:
    """Files of a table that are gone or shorter than its version says."""
    size = _measure(store, name)
    for file, least in files(table):
        found = size(file)
        if found is None or found < least:
            yield f"{name}.lance/{file.rstrip('/')} is {'cut off' if found else 'missing'}"


def files(table: lance.LanceDataset) -> Iterator[tuple[str, int]]:
    """Path and least size of what a version is made of: data, marks of deleted rows, and the folders of indexes."""
    for fragment in table.get_fragments():
        for file in fragment.data_files():
            yield f"data/{file.path}", file.file_size_bytes or 0
        deleted = fragment.deletion_file()
        if deleted is not None:
            yield str(deleted), 0
    for index in table.describe_indices():
        for segment in index.segments:
            yield f"_indices/{segment.uuid}/", segment.size_bytes or 1


def _measure(store: Store, name: str) -> Callable[[str], int | None]:
    """A function that gives the size of a file of a table, or of all files in a folder; None where it is missing."""
    if store.folder is not None:
        return partial(_on_disk, store.folder / f"{name}.lance")
    from storage.remote import filesystem, reached

    files, root = filesystem(store.path(name))
    with reached(store.uri):  # one listing, of older versions too: a question a file would each be a request
        listed = {str(path): int(facts["size"]) for path, facts in files.find(root, detail=True).items()}

    def size(path: str) -> int | None:
        if path.endswith("/"):
            return sum(held for at, held in listed.items() if at.startswith(f"{root}/{path}"))
        return listed.get(f"{root}/{path}")

    return size


def _on_disk(root: Path, path: str) -> int | None:
    at = root / path
    try:
        return sum(file.stat().st_size for file in at.iterdir()) if path.endswith("/") else at.stat().st_size
    except FileNotFoundError:
        return None
