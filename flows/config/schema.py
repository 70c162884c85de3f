"""The configuration: one TOML file, checked in full before anything runs."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, ValidationInfo, field_validator

from flows.config.explain import explain
from flows.config.toml import FILE, override, read_toml
from models.config import EncoderConfig
from storage.errors import InputError
from storage.redaction import hide, redact, telling
from storage.sources import AnySourceConfig, CustomConfig
from tasks.build.config import ChunkerConfig, IndexConfig
from tasks.curate.config import LimitsConfig, ValidationConfig
from tasks.learn.config import EvaluationConfig, LearningConfig, QualityConfig
from tasks.release.config import ReleasesConfig
from tasks.search.config import QueriesConfig
from tasks.watch.config import DriftConfig, NotifyConfig

__all__ = ["Config", "StoreConfig"]

STRICT = ConfigDict(extra="forbid", frozen=True)


class StoreConfig(BaseModel):
    """Where the tables and releases lie: section `[store]`."""

    model_config = STRICT

    uri: str = Field(
        default="store",
        min_length=1,
        description="A folder (relative to the configuration file) or an object-store URL.",
    )


class Config(BaseModel):
    """Everything that a run needs to know."""

    model_config = STRICT

    store: StoreConfig = Field(default_factory=StoreConfig, description="Where the tables and releases lie.")
    encoder: EncoderConfig = Field(
        default_factory=lambda: EncoderConfig.model_validate({}), description="What turns text into vectors."
    )
    sources: tuple[AnySourceConfig, ...] = Field(default=(), description="Where documents come from.")
    validation: ValidationConfig = Field(default_factory=ValidationConfig, description="Which documents are refused.")
    chunker: ChunkerConfig = Field(default_factory=ChunkerConfig, description="How documents are cut.")
    limits: LimitsConfig = Field(default_factory=LimitsConfig, description="What stops a run before it publishes.")
    index: IndexConfig = Field(default_factory=IndexConfig, description="The search index and what it must reach.")
    evaluation: tuple[EvaluationConfig, ...] = Field(default=(), description="Questions with judged documents.")
    learning: LearningConfig = Field(default_factory=LearningConfig, description="How a better encoder is made.")
    quality: QualityConfig = Field(default_factory=QualityConfig, description="What a release must reach.")
    queries: QueriesConfig = Field(default_factory=QueriesConfig, description="What is kept of what readers ask.")
    drift: DriftConfig = Field(default_factory=DriftConfig, description="What is watched, and when somebody is told.")
    notify: tuple[NotifyConfig, ...] = Field(default=(), description="Who is told of what, by a message an event.")
    releases: ReleasesConfig = Field(default_factory=ReleasesConfig, description="How long the past is kept.")

    _base: Path = PrivateAttr(default_factory=Path.cwd)

    @field_validator("sources", "evaluation")
    @classmethod
    def _differ(cls, listed: tuple[Any, ...], info: ValidationInfo) -> tuple[Any, ...]:
        names = [each.name for each in listed]
        what = "sources" if info.field_name == "sources" else "sets"
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"{names.count(name)} {what} are named {name!r}; each needs a name of its own")
        return listed

    @classmethod
    def load(cls, path: Path | str | None = None, environ: Mapping[str, str] | None = None) -> Self:
        """Read and check the configuration.

        Args:
            path: The file; the variable TIDEMARK_CONFIG if None or empty, else `tidemark.toml` where it is run.
            environ: Variables; `TIDEMARK_<SECTION>__<KEY>` overrides the file. The process's own if None.

        Raises:
            InputError: the file is missing or something in it is wrong; the text names file, section and key.
        """
        environ = os.environ if environ is None else environ
        file = Path(path or environ.get("TIDEMARK_CONFIG") or FILE).expanduser()
        return cls.from_mapping(read_toml(file), file.resolve().parent, origin=str(file), environ=environ)

    @classmethod
    def from_mapping(
        cls,
        data: Mapping[str, Any],
        base: Path | str,
        *,
        origin: str = "configuration",
        environ: Mapping[str, str] | None = None,
    ) -> Self:
        """Check a configuration that lies in memory.

        Args:
            data: What the TOML file would say.
            base: The folder that relative paths start from.
            origin: How errors call it: the file's name.
            environ: Variables that override it; none if None.

        Raises:
            InputError: something in it is wrong.
        """
        merged, origins = override(data, environ or {})
        try:
            config = cls.model_validate(merged)
        except ValidationError as error:
            raise InputError(explain(error, cls, merged, origin, origins)) from error
        config._hide(environ or os.environ)
        based = config._based(Path(base).resolve())
        if Path(based.store.uri).exists() and not Path(based.store.uri).is_dir():
            raise InputError(f"{origin}: store.uri = {based.store.uri!r} is no folder; name a folder or a URL")
        return based

    @property
    def base(self) -> Path:
        """The folder that relative paths start from: the one of the file."""
        return self._base

    def to_json(self) -> str:
        """Write the configuration as JSON with sorted keys and without secrets: fit for records and logs."""
        told = self.model_dump(mode="json", context={"discreet": True})
        return json.dumps(redact(told), sort_keys=True, ensure_ascii=False)

    def _hide(self, environ: Mapping[str, str]) -> None:
        """Keep what is secret in it out of every message of this process, whoever words that."""
        own = [text for source in self.sources if isinstance(source, CustomConfig) for text in source.secrets]
        addresses = [environ[each.url_env] for each in self.notify if each.url_env in environ]
        hide([*own, *addresses, *telling(self.model_dump(mode="json"))])

    def _based(self, base: Path) -> Self:
        """Resolve the paths that start at the file's folder; sources and encoder resolve theirs when they open."""
        uri = self.store.uri
        if "://" not in uri:
            uri = str((base / Path(uri).expanduser()).resolve())
        update: dict[str, Any] = {"store": StoreConfig(uri=uri)}
        expectations = self.validation.expectations
        if expectations is not None:
            resolved = (base / expectations.expanduser()).resolve()
            update["validation"] = self.validation.model_copy(update={"expectations": resolved})
        based = self.model_copy(update=update)
        based._base = base
        return based
