"""Read rows of a table by where they lie, and find out where they lie."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from storage.arrow import AHEAD
from storage.tables.keys import filter_in
from storage.tables.lookup import Bytes, as_bytes, distinct, find_sorted, names

if TYPE_CHECKING:
    import lance

__all__ = ["ROW", "Rows", "by_ids", "delete_hashes"]

ROW = "_rowid"
AT_ONCE = 10_000  # numbers in one filter
FEW = 2_000  # hashes that one filter names
DELETED = 50_000  # rows that one commit deletes


class Rows:
    """The rows of one version of a table, by where they lie.

    Lance's `take` looks each offset up among the rows that were deleted: 4,000 of 200,000 rows of which 3,500 had gone
    took it 20 s. The ids of all rows are read in a fiftieth of a second, once, and the rows by their ids in a tenth.

    Args:
        table: The table.
    """

    def __init__(self, table: lance.LanceDataset) -> None:
        self._table = table
        self._ids: npt.NDArray[np.uint64] | None = None

    def at(self, offsets: Iterable[int], columns: list[str]) -> pa.Table:
        """The rows at some offsets, in the order in which they are asked for.

        Args:
            offsets: Places among the rows that are left, from 0.
            columns: Which columns.

        Raises:
            IndexError: There is no such place.
        """
        places = np.fromiter(offsets, dtype=np.int64)
        table = self._table
        if not table.stats.dataset_stats()["num_deleted_rows"]:
            return table.take(places.tolist(), columns=columns)
        if self._ids is None:
            every = table.scanner(columns=[], with_row_id=True, scan_in_order=True).to_table()
            self._ids = every[ROW].to_numpy()
        return by_ids(table, self._ids[places], columns)


def by_ids(table: lance.LanceDataset, ids: npt.NDArray[np.uint64], columns: list[str]) -> pa.Table:
    """The rows that have some ids, in the order in which they are asked for."""
    parts = [
        table.scanner(columns=columns, with_row_id=True, filter=some).to_table()
        for some in _filters(np.unique(ids), AT_ONCE)
    ]
    if not parts:
        return table.take([], columns=columns)
    found = pa.concat_tables(parts)
    came = found[ROW].to_numpy()  # in the order of the table, which need not be that of the ids
    order = np.argsort(came)
    return found.select(columns).take(order[np.searchsorted(came, ids, sorter=order)])


def delete_hashes(table: lance.LanceDataset, column: str, hashes: Iterable[str] | Bytes) -> int:
    """Delete the rows that have one of some hashes; returns how many went.

    A filter costs a pass over the column, and so many of them as there are thousands of hashes: more than a few are
    looked up in one pass, and deleted by the ids of their rows, which stay theirs whoever writes meanwhile.

    Args:
        table: The head of a table.
        column: Where it keeps the hashes.
        hashes: Which; as text or, of so many that they are large, sorted and each once.
    """
    wanted = hashes if isinstance(hashes, np.ndarray) else list(hashes)
    if len(wanted) > FEW and table.has_stable_row_ids:
        if not isinstance(wanted, np.ndarray):
            wanted = distinct([pl.Series(wanted, dtype=pl.String)])
        some = _filters(_ids_of(table, column, wanted), DELETED)
    else:
        named = names(wanted) if isinstance(wanted, np.ndarray) else wanted
        some = (filter_in(column, named[at : at + FEW]) for at in range(0, len(named), FEW))
    return sum(table.delete(each)["num_deleted_rows"] for each in some)


def _ids_of(table: lance.LanceDataset, column: str, hashes: Bytes) -> npt.NDArray[np.uint64]:
    """The ids of the rows that have one of some hashes, found in one pass over the column.

    Args:
        table: The table.
        column: Where it keeps the hashes.
        hashes: Sorted, each once.
    """
    scanner = table.scanner(
        columns=[column], with_row_id=True, batch_size=65_536, batch_readahead=2, io_buffer_size=AHEAD
    )
    found = [np.empty(0, np.uint64)]
    for batch in scanner.to_batches():
        here = find_sorted(hashes, as_bytes(batch.column(column)))[1]
        found.append(batch.column(ROW).to_numpy()[here])
    return np.concatenate(found)


def _filters(ids: npt.NDArray[np.uint64], at_once: int) -> Iterator[str]:
    """Filters that name rows by their ids, so many in each."""
    for at in range(0, len(ids), at_once):
        yield f"{ROW} IN ({','.join(map(str, ids[at : at + at_once]))})"
