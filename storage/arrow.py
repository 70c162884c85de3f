"""Have PyArrow do without pandas, which it looks for at its first value: a quarter of a second that few need."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

import pyarrow as pa

__all__ = ["spare_pandas"]


class _Hidden(MetaPathFinder):
    """Finds no pandas."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Tell that there is no pandas, and leave all other modules to others."""
        if name == "pandas":
            raise ModuleNotFoundError("PyArrow needs no pandas yet", name=name)
        return None


def spare_pandas() -> None:
    """Make PyArrow look for pandas now, and find none.

    It looks once and remembers the answer. Where pandas is really needed, to make data frames of tables, PyArrow looks
    again; only a Series that is given to `pyarrow.array` without such a need is taken for any other sequence.
    """
    if "pandas" in sys.modules:
        return
    hidden = _Hidden()
    sys.meta_path.insert(0, hidden)
    try:
        pa.scalar(True)
    finally:
        sys.meta_path.remove(hidden)
