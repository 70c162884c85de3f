"""Installed Python packages found by name, without importing them."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import NamedTuple

from storage.errors import InputError

__all__ = ["Module", "Package", "find_packages", "modules"]

_TESTS = re.compile(r"tests?|conftest|test_.*|.*_tests?")


class Package(NamedTuple):
    """A top-level package, or a package or module inside one."""

    name: str
    folder: Path | None
    file: Path | None
    version: str
    licence: str | None


class Module(NamedTuple):
    """One source file: its dotted name, and its path below the place where the top-level package lies."""

    name: str
    path: Path
    relative: str


def find_packages(name: str, *, source: str) -> Sequence[Package]:
    """Find what an import name, dotted or not, or else a distribution name stands for.

    Raises:
        InputError: If there is no such package, or it has no Python source.
    """
    spec = _spec(name)
    names = [name]
    if spec is None:
        names = _import_names(name)
        if not names and name not in sys.builtin_module_names:  # built in: they lie nowhere
            raise InputError(
                f"source {source!r}: there is no installed package {name!r}; name a distribution or an import"
            )
    packages = [_package(found, spec) for found in names if (spec := _spec(found)) is not None]
    with_source = [package for package in packages if package.folder or package.file]
    if not with_source:
        raise InputError(f"source {source!r}: package {name!r} has no Python source")
    return with_source


def modules(package: Package) -> Iterator[Module]:
    """Yield the public modules of a package in a stable order; private ones and tests are left out."""
    depth = package.name.count(".")
    if package.file is not None and package.folder is None:
        top = package.file.parents[depth]
        yield Module(package.name, package.file, package.file.relative_to(top).as_posix())
    if package.folder is not None:
        yield from _folder_modules(package.name, package.folder, package.folder.parents[depth])


def _folder_modules(name: str, folder: Path, top: Path) -> Iterator[Module]:
    with os.scandir(folder) as scan:
        entries = sorted(scan, key=lambda entry: entry.name)
    for entry in entries:
        stem, _, suffix = entry.name.partition(".")
        path = Path(entry.path)
        if entry.name == "__init__.py":
            yield Module(name, path, path.relative_to(top).as_posix())
        elif not stem.isidentifier() or stem.startswith("_") or _TESTS.fullmatch(stem):
            continue
        elif suffix == "py" and entry.is_file():
            yield Module(f"{name}.{stem}", path, path.relative_to(top).as_posix())
        elif not suffix and entry.is_dir(follow_symlinks=False):
            yield from _folder_modules(f"{name}.{stem}", path, top)


def _spec(name: str) -> ModuleSpec | None:
    if not all(part.isidentifier() for part in name.split(".")):
        return None
    places: list[str] | None = None
    spec: ModuleSpec | None = None
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        # find_spec of importlib.util would import the parents.
        spec = PathFinder.find_spec(".".join(parts[:end]), places)
        if spec is None or (end < len(parts) and spec.submodule_search_locations is None):
            return None
        places = list(spec.submodule_search_locations or [])
    return spec


def _package(name: str, spec: ModuleSpec) -> Package:
    origin = Path(spec.origin) if spec.origin and spec.origin.endswith(".py") else None
    places = list(spec.submodule_search_locations or [])
    version, licence = _provenance(name.partition(".")[0])
    return Package(name, Path(places[0]) if places else None, origin, version, licence)


def _provenance(top: str) -> tuple[str, str | None]:
    if top in sys.stdlib_module_names:
        return platform.python_version(), "PSF-2.0"
    try:
        distribution = importlib.metadata.distribution(top)
    except importlib.metadata.PackageNotFoundError:
        names = _distributions().get(top)
        if not names:
            return "", None
        distribution = importlib.metadata.distribution(names[0])
    return distribution.version, _licence(distribution)


def _licence(distribution: importlib.metadata.Distribution) -> str | None:
    """The SPDX expression, else what comes nearest to one."""
    metadata = distribution.metadata
    if "License-Expression" in metadata:
        return str(metadata["License-Expression"])
    classifiers = [str(line) for line in metadata.get_all("Classifier") or [] if line.startswith("License ::")]
    named = sorted({line.rpartition(" :: ")[2] for line in classifiers if line.count("::") > 1})
    if named and all(name in _SPDX for name in named):
        return " AND ".join(_SPDX[name] for name in named)
    stated = str(metadata["License"]) if "License" in metadata else ""
    if re.fullmatch(r"[\w.+-]{2,40}", stated):
        return stated
    if named:
        return " AND ".join(named)
    # Some put the whole licence text there.
    return stated if stated and len(stated) < 60 and "\n" not in stated else None


# The classifiers that stand for one SPDX licence.
_SPDX = {
    "MIT License": "MIT",
    "Apache Software License": "Apache-2.0",
    "ISC License (ISCL)": "ISC",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
}


@cache
def _distributions() -> dict[str, list[str]]:
    return {top: sorted(set(names)) for top, names in importlib.metadata.packages_distributions().items()}


def _import_names(distribution: str) -> list[str]:
    def normal(name: str) -> str:
        return re.sub(r"[-_.]+", "-", name).lower()

    wanted = normal(distribution)
    return sorted(
        top
        for top, names in _distributions().items()
        if not top.startswith("_") and any(normal(name) == wanted for name in names)
    )
