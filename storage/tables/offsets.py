"""Read rows of a table by where they lie."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    import lance

__all__ = ["rows_at"]

ROW = "_rowid"
AT_ONCE = 10_000  # numbers in one filter


def rows_at(table: lance.LanceDataset, offsets: Iterable[int], columns: list[str]) -> pa.Table:
    """The rows at some offsets, in the order in which they are asked for.

    Lance's `take` looks each offset up among the rows that were deleted: 4,000 of 200,000 rows of which 3,500 had gone
    took it 20 s. The ids of all rows are read in a fiftieth of a second, and the rows by their ids in a tenth.

    Args:
        table: The table.
        offsets: Places among the rows that are left, from 0.
        columns: Which columns.

    Raises:
        IndexError: There is no such place.
    """
    places = np.fromiter(offsets, dtype=np.int64)
    if not table.stats.dataset_stats()["num_deleted_rows"]:
        return table.take(places.tolist(), columns=columns)
    ids = table.scanner(columns=[], with_row_id=True, scan_in_order=True).to_table()[ROW].to_numpy()
    asked = ids[places]
    unique = np.unique(asked)
    parts = [
        table.scanner(columns=columns, with_row_id=True, filter=f"{ROW} IN ({','.join(map(str, some))})").to_table()
        for some in np.array_split(unique, max(1, -(-len(unique) // AT_ONCE)))
        if len(some)
    ]
    if not parts:
        return table.take([], columns=columns)
    found = pa.concat_tables(parts)
    came = found[ROW].to_numpy()  # in the order of the table, which need not be that of the ids
    order = np.argsort(came)
    return found.select(columns).take(order[np.searchsorted(came, asked, sorter=order)])
