"""Where documents come from: one table of sources, and how a configured one is opened."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import BeforeValidator, SerializeAsAny

from storage.errors import InputError
from storage.sources.config import (
    CsvConfig,
    CustomConfig,
    FolderConfig,
    JsonlConfig,
    ParquetConfig,
    PythonConfig,
    SourceConfig,
)

if TYPE_CHECKING:
    from storage.sources.base import DOCUMENTS, LISTING, Source

__all__ = [
    "DOCUMENTS",
    "LISTING",
    "SOURCES",
    "AnySourceConfig",
    "CustomConfig",
    "Source",
    "SourceConfig",
    "SourceKind",
    "open_source",
    "parse_source",
    "resolve",
]

_SHAPES = ("DOCUMENTS", "LISTING", "Source")


class SourceKind(NamedTuple):
    """One kind of source.

    Attributes:
        config: Its settings.
        source: What reads it, `module:Class`, imported when a source is opened: to read a configuration needs none.
    """

    config: type[SourceConfig]
    source: str


SOURCES: dict[str, SourceKind] = {
    "folder": SourceKind(FolderConfig, "storage.sources.folder:FolderSource"),
    "jsonl": SourceKind(JsonlConfig, "storage.sources.jsonl:JsonlSource"),
    "csv": SourceKind(CsvConfig, "storage.sources.delimited:CsvSource"),
    "parquet": SourceKind(ParquetConfig, "storage.sources.parquet:ParquetSource"),
    "python": SourceKind(PythonConfig, "storage.sources.python:PythonSource"),
}


def __getattr__(name: str) -> Any:
    """The shapes of a source's tables, and its protocol: they need polars, which a configuration does not."""
    if name not in _SHAPES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("storage.sources.base"), name)


def resolve(reference: str, base_dir: Path | None = None) -> type[Any]:
    """Load the class that `module:Class` names.

    Args:
        reference: Module and class name.
        base_dir: Folder whose modules may be named too, after all installed ones.

    Raises:
        InputError: If there is no such module or class.
    """
    module_name, _, class_name = reference.partition(":")
    if base_dir is not None and str(base_dir) not in sys.path:
        sys.path.append(str(base_dir))
    try:
        found = getattr(importlib.import_module(module_name), class_name, None)
    except ImportError as error:
        raise InputError(f"kind = {reference!r}: cannot import {module_name!r}: {error}") from error
    if not isinstance(found, type):
        raise InputError(f"kind = {reference!r}: {module_name!r} has no class {class_name!r}")
    return found


def parse_source(data: Any) -> Any:
    """Validate one `[[sources]]` table by its kind; anything but a table is passed on for pydantic to judge.

    Raises:
        ValueError: If the kind is unknown.
        ValidationError: If a key is unknown or a value is wrong.
    """
    if not isinstance(data, Mapping) or not isinstance(data.get("kind"), str):
        return data
    kind = data["kind"]
    if kind in SOURCES:
        return SOURCES[kind].config.model_validate(data)
    if ":" in kind:
        return CustomConfig.model_validate(data)
    raise ValueError(f"kind = {kind!r} is unknown; there are {', '.join(SOURCES)}, and module:Class for your own")


AnySourceConfig = Annotated[SerializeAsAny[SourceConfig], BeforeValidator(parse_source)]
"""The type of one entry of `[[sources]]`: the configuration class of its kind."""


def open_source(config: SourceConfig, base_dir: Path) -> Source:
    """Open a configured source.

    Args:
        config: What `parse_source` made of the source's table.
        base_dir: The folder of the configuration file: relative paths start there.

    Raises:
        InputError: If what the configuration names is not there, or is no source.
        SourceFailed: A class of the user's own failed to make one.
    """
    if config.kind in SOURCES:
        opened: Source = resolve(SOURCES[config.kind].source)(config, base_dir)
        return opened
    from storage.sources.custom import CheckedSource, called

    found = resolve(config.kind, base_dir)
    if not callable(getattr(found, "list", None)) or not callable(getattr(found, "read", None)):
        raise InputError(f"source {config.name!r}: {config.kind} lacks list() or read(ids)")
    with called(config.name, f"{config.kind}(config, base_dir)"):
        source = found(config, base_dir)
    return CheckedSource(source, config.name, config.kind)
