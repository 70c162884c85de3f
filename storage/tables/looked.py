"""Looks through many versions of tables, at each row once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from storage.tables.offsets import ROW, by_ids
from storage.tables.store import stream

if TYPE_CHECKING:
    import lance

__all__ = ["Looked"]

ADDRESS = "_rowaddr"  # number of a fragment, and below it the place of a row among all that its files hold
BELOW = np.uint64(32)
PLACE = np.uint64(2**32 - 1)
NARROW = 65_536  # rows of nothing but numbers

Offsets = npt.NDArray[np.int64]
Files = tuple[str, ...]


class Looked:
    """Which rows were looked at, by the files that hold them.

    Releases share most of their files and differ in which rows of them are deleted. To look through all of each would
    cost the corpus as many times as there are releases: of a file that was looked through, an older release has only
    those rows left that were deleted since. A bit tells of each row of a file whether it was looked at.
    """

    def __init__(self) -> None:
        self._rows: dict[Files, npt.NDArray[np.bool_]] = {}
        self._marks = set[tuple[str, ...]]()  # of files with what is deleted of them

    def rest(
        self, table: lance.LanceDataset, columns: list[str], rows: int
    ) -> Iterator[tuple[Offsets, pa.RecordBatch]]:
        """The rows of a version that no version before had, each batch with the offsets of its rows.

        Args:
            table: The version.
            columns: What to read.
            rows: Rows a batch, at most.
        """
        new, other, start = list[_Span](), list[_Span](), 0
        for fragment in table.get_fragments():
            span = _Span(fragment, start)
            start = span.end
            if span.files not in self._rows:
                self._rows[span.files] = np.zeros(fragment.physical_rows, np.bool_)
                new.append(span)
            elif span.mark not in self._marks:
                other.append(span)
            self._marks.add(span.mark)
        files = {span.fragment.fragment_id: span.files for span in (*new, *other)}
        for offsets, batch in _numbered(table, columns, rows, new):
            self._look(batch, files)
            yield offsets, batch
        ids, places = [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
        for offsets, batch in _numbered(table, [], NARROW, other):
            here = self._look(batch, files)
            ids.append(batch.column(ROW).to_numpy()[here])
            places.append(offsets[here])
        every, at = np.concatenate(ids), np.concatenate(places)
        for first in range(0, len(every), rows):
            some = slice(first, first + rows)
            for batch in by_ids(table, every[some], columns).combine_chunks().to_batches():
                yield at[some], batch

    def _look(self, batch: pa.RecordBatch, files: Mapping[int, Files]) -> npt.NDArray[np.bool_]:
        """Note that rows are looked at; tells which of them were not before."""
        addresses = batch.column(ADDRESS).to_numpy()
        fragments, places = addresses >> BELOW, addresses & PLACE
        fresh = np.zeros(len(addresses), np.bool_)
        for number in np.unique(fragments).tolist():
            mine, known = fragments == number, self._rows[files[number]]
            fresh[mine] = ~known[places[mine]]
            known[places[mine]] = True
        return fresh


class _Span:
    """A fragment, and which of a version's rows it has."""

    def __init__(self, fragment: lance.LanceFragment, start: int) -> None:
        self.fragment = fragment
        self.files: Files = tuple(file.path for file in fragment.data_files())
        self.mark = (*self.files, str(fragment.deletion_file()))
        self.start, self.end = start, start + fragment.count_rows()


def _numbered(
    table: lance.LanceDataset, columns: list[str], rows: int, spans: Sequence[_Span]
) -> Iterator[tuple[Offsets, pa.RecordBatch]]:
    if not spans:  # which Lance takes for all of them
        return
    left = iter(spans)
    span = next(left)
    at = span.start
    for batch in stream(table, columns, rows=rows, fragments=[span.fragment for span in spans], places=True):
        parts, lacking = list[Offsets](), batch.num_rows
        while lacking:
            while at == span.end:
                span = next(left)
                at = span.start
            many = min(lacking, span.end - at)
            parts.append(np.arange(at, at + many))
            at, lacking = at + many, lacking - many
        if parts:
            yield np.concatenate(parts), batch
