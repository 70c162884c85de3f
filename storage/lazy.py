"""Modules that are imported when something is asked of them, or changed, for packages that import more than they use.

Great Expectations is why: its import takes 2.6 s of processor time, and .37 s as `tasks.curate.validation.expectations`
has it (medians of three, bytecode), in every night that judges something.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

__all__ = ["amended", "hollow", "lazy", "without"]


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


class Hidden(MetaPathFinder):
    """Finds none of some modules, nor of what lies below them, and leaves all others to others."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Tell that there is no such module."""
        if any(name == hidden or name.startswith(f"{hidden}.") for hidden in self.names):
            raise ModuleNotFoundError(f"{name} is not wanted here", name=name)
        return None


@contextmanager
def without(*names: str) -> Iterator[None]:
    """Have modules that something can do without be missing within the block; one that is imported already stays."""
    hidden = Hidden([name for name in names if name not in sys.modules])
    sys.meta_path.insert(0, hidden)
    try:
        yield
    finally:
        sys.meta_path.remove(hidden)


class Hollow(ModuleType):
    """Has whatever is imported from it: a class of that name, of which nothing is ever made."""

    def __getattr__(self, name: str) -> Any:
        """Make the class."""
        if name.startswith("__"):
            raise AttributeError(name)
        made = type(name, (), {})
        setattr(self, name, made)
        return made


class Hollower(MetaPathFinder, Loader):
    """Finds hollow modules in place of some."""

    def __init__(self, names: str) -> None:
        self.names = re.compile(names)

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """A module of which there is nothing to load; and a package, for it may be one."""
        return ModuleSpec(name, self, is_package=True) if self.names.fullmatch(name) else None

    def create_module(self, spec: ModuleSpec) -> Hollow:
        """Make it."""
        return Hollow(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is to be done."""


@contextmanager
def hollow(names: str) -> Iterator[None]:
    """Have modules that a package names and never uses be hollow within the block, and be the real ones behind it.

    Args:
        names: A regular expression that their whole names match.
    """
    hollower = Hollower(names)
    sys.meta_path.insert(0, hollower)
    try:
        yield
    finally:
        sys.meta_path.remove(hollower)
        for name in [name for name, module in sys.modules.items() if isinstance(module, Hollow)]:
            del sys.modules[name]


class Amender(MetaPathFinder):
    """Finds one module, and has something of it be another once it is executed."""

    def __init__(self, module: str, values: dict[str, Any]) -> None:
        self.module, self.values = module, values

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Where the module lies, with a loader that executes it and changes it."""
        spec = PathFinder.find_spec(name, path) if name == self.module else None
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def amend(module: ModuleType) -> None:
                execute(module)
                vars(module).update(self.values)

            spec.loader.exec_module = amend  # type: ignore[method-assign] # of this one loader
        return spec


@contextmanager
def amended(module: str, **values: Any) -> Iterator[None]:
    """Have a module that is imported within the block be changed before anything is done with it."""
    amender = Amender(module, values)
    sys.meta_path.insert(0, amender)
    try:
        yield
    finally:
        sys.meta_path.remove(amender)
