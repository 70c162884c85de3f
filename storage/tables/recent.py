"""What was looked up of tables a moment ago: a run asks for the same releases some thirty times."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    import lance

__all__ = ["Recent"]

_MOST, _SMALL = 32, 2**20  # look-ups that are remembered, and bytes of each at most


class Recent:
    """The last small look-ups, each of a table as it was at one version, which never changes."""

    def __init__(self) -> None:
        self._found: dict[Hashable, pa.Table] = {}

    def get(self, table: lance.LanceDataset, asked: Hashable, look: Callable[[], pa.Table]) -> pa.Table:
        """What is looked up of a table at its version; the same again is not read again, where it is small.

        Args:
            table: The table.
            asked: What is looked up, told apart from all else that is looked up of this table.
            look: How.
        """
        # Its number is not enough: an older copy of the store, put back, gives numbers out again, no names of files.
        files = tuple(file.path for fragment in table.get_fragments() for file in fragment.data_files())
        state = (table.uri, table.version, files, asked)
        found = self._found.get(state)
        if found is None:
            found = look()
            if found.nbytes <= _SMALL:
                if len(self._found) >= _MOST:
                    self._found.clear()
                self._found[state] = found
        return found
