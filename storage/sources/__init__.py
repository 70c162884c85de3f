"""Where documents come from: one table of sources, and how a configured one is opened."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    SerializationInfo,
    SerializeAsAny,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from storage.errors import InputError
from storage.redaction import leaves, mask
from storage.sources.base import DOCUMENTS, LISTING, Source, SourceConfig
from storage.sources.custom import CheckedSource, called

__all__ = [
    "DOCUMENTS",
    "LISTING",
    "SOURCES",
    "AnySourceConfig",
    "CustomConfig",
    "Source",
    "SourceConfig",
    "open_source",
    "parse_source",
    "resolve",
]

SOURCES: dict[str, str] = {
    "folder": "storage.sources.folder:FolderSource",
    "jsonl": "storage.sources.jsonl:JsonlSource",
    "csv": "storage.sources.delimited:CsvSource",
    "parquet": "storage.sources.parquet:ParquetSource",
    "python": "storage.sources.python:PythonSource",
}


class CustomConfig(SourceConfig):
    """A source of the user's own: every further key is handed to its class, in `config.model_extra`."""

    model_config = ConfigDict(extra="allow", frozen=True)

    WITHOUT_EFFECT: ClassVar[frozenset[str]] = frozenset({"shown"})

    kind: str = Field(pattern=r"^[\w.]+:\w+$", description="`module:Class`; the module may lie beside the file.")
    shown: tuple[str, ...] = Field(
        default=(), description="Further keys whose values records and messages may show; all others are masked."
    )

    @model_serializer(mode="wrap")
    def _discreet(self, handler: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        """Mask what nobody named harmless, where the configuration is written down (`discreet`)."""
        told: dict[str, Any] = handler(self)
        harmless = {*CustomConfig.model_fields, *self.shown}
        return mask(told, harmless) if (info.context or {}).get("discreet") else told

    @property
    def secrets(self) -> list[str]:
        """The texts that may be secrets: every value that nobody named harmless; a path stands in many messages."""
        harmless, further = {"path", *self.shown}, self.model_extra or {}
        return [text for name, value in further.items() if name not in harmless for text in leaves(value)]


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
        config_class: type[SourceConfig] = resolve(SOURCES[kind]).Config
        return config_class.model_validate(data)
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
        opened: Source = resolve(SOURCES[config.kind])(config, base_dir)
        return opened
    found = resolve(config.kind, base_dir)
    if not callable(getattr(found, "list", None)) or not callable(getattr(found, "read", None)):
        raise InputError(f"source {config.name!r}: {config.kind} lacks list() or read(ids)")
    with called(config.name, f"{config.kind}(config, base_dir)"):
        source = found(config, base_dir)
    return CheckedSource(source, config.name, config.kind)
