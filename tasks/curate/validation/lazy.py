"""Modules that are imported when something is asked of them, for packages that import more than they use.

Great Expectations is why: its import takes 11.1 s of processor time, and 6.4 s where altair and scipy's distributions
are left for later and the collector rests (medians of three on two busy cores), in every night that judges something.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

__all__ = ["lazy"]


class Lazy(ModuleType):
    """Stands for a module, and becomes it at the first question.

    `importlib.util.LazyLoader` does not do: on Python 3.11 the import statement itself asks for `__spec__`.
    """

    def __getattr__(self, name: str) -> Any:
        """Import the real module, and answer with its attribute."""
        # `__path__` is asked for by the import of a submodule; other such names only by onlookers
        if name.startswith("__") and name != "__path__":
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


@contextmanager
def lazy(*names: str) -> Iterator[None]:
    """Keep these modules from being imported within the block; who bound one there gets it when it uses it."""
    absent = [name for name in names if name not in sys.modules]
    sys.modules.update({name: Lazy(name) for name in absent})
    try:
        yield
    finally:
        for name in absent:
            if isinstance(sys.modules.get(name), Lazy):
                del sys.modules[name]
