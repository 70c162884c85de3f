"""Which files of a table some rows lie in, and which ones a newer version of it was made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import lance

__all__ = ["Origins", "data_files", "files_at", "indexed_from", "written_since"]


@dataclass(frozen=True)
class Origins:
    """The data files out of which a run copied rows, vectors or texts into files of its own.

    Attributes:
        files: Table and version to paths below the folder of the table.
    """

    files: Mapping[tuple[str, int], frozenset[str]] = field(default_factory=dict)

    def __or__(self, other: Origins) -> Origins:
        names = self.files.keys() | other.files.keys()
        nothing = frozenset[str]()
        return Origins({name: self.files.get(name, nothing) | other.files.get(name, nothing) for name in names})

    @classmethod
    def of(cls, table: lance.LanceDataset, offsets: Iterable[int]) -> Origins:
        """Where some rows of a table lie.

        Args:
            table: The table at the version that was read.
            offsets: Places among the rows that are left, from 0.
        """
        name = str(table.uri).rstrip("/").rpartition("/")[2].removesuffix(".lance")
        found = frozenset(files_at(table, offsets))
        return cls({(name, int(table.version)): found} if found else {})


def data_files(fragments: Iterable[lance.LanceFragment]) -> set[str]:
    """Paths of the data files of fragments, below the folder of their table."""
    return {f"data/{file.path}" for fragment in fragments for file in fragment.data_files()}


def files_at(table: lance.LanceDataset, offsets: Iterable[int]) -> set[str]:
    """The data files of the fragments in which rows lie.

    Args:
        table: The table.
        offsets: Places among the rows that are left, from 0.
    """
    fragments = table.get_fragments()
    ends = np.cumsum([fragment.count_rows() for fragment in fragments], dtype=np.int64)
    # Right: an offset that equals the end of a fragment is the first row of the next one.
    holding = np.unique(np.searchsorted(ends, np.fromiter(offsets, dtype=np.int64), side="right"))
    return data_files(fragments[at] for at in holding.tolist())


def written_since(table: lance.LanceDataset, older: lance.LanceDataset) -> list[lance.LanceFragment]:
    """The fragments of a version that have a data file which an older version had not."""
    known = data_files(older.get_fragments())
    return [fragment for fragment in table.get_fragments() if not data_files([fragment]) <= known]


def indexed_from(table: lance.LanceDataset, older: lance.LanceDataset) -> set[str]:
    """The data files whose rows are in a part of an index that an older version had not.

    Training, encoding and merging read rows; a part that was there before was computed from what it was proved with.
    Fragments that a part covers and that are gone by now were compacted: their files are no longer in the table.
    """
    before = {segment.uuid for index in older.describe_indices() for segment in index.segments}
    fragments = {fragment.fragment_id: fragment for fragment in table.get_fragments()}
    covered = set[int]()
    for segment in (each for index in table.describe_indices() for each in index.segments):
        if segment.uuid not in before:
            # A part that does not say what it covers may cover everything.
            covered |= set(fragments if segment.fragment_ids is None else map(int, segment.fragment_ids))
    return data_files(fragments[number] for number in covered & fragments.keys())
