"""What a user sets of a source: a table `[[sources]]`, one class a kind, apart from what reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
)

from storage.encoding import UTF_8
from storage.redaction import leaves, mask
from storage.sources.encodings import checked
from storage.sources.patterns import matcher
from storage.sources.times import check_form

__all__ = [
    "Columns",
    "CsvConfig",
    "CustomConfig",
    "FolderConfig",
    "JsonlConfig",
    "ParquetConfig",
    "PythonConfig",
    "SourceConfig",
    "TableConfig",
    "TextTableConfig",
]

MAX_BYTES = 32 * 1024 * 1024


Label = Annotated[str, AfterValidator(checked)]  # of an encoding


class SourceConfig(BaseModel):
    """What all kinds of source have in common; each kind adds its own fields."""

    # Deferred: a configuration seldom has more than one or two of the kinds.
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)
    # Settings of how a source is read that change no document.
    WITHOUT_EFFECT: ClassVar[frozenset[str]] = frozenset()
    # Settings that stores of before do not know: at their default, which does what was done then, they say nothing.
    LATER: ClassVar[frozenset[str]] = frozenset()

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9_-]*$", description="Name of the source: lower-case letters, digits, `_` and `-`."
    )
    kind: str = Field(description="folder, jsonl, csv, parquet, python, or `module:Class` for a class of your own.")
    licence: str | None = Field(default=None, description="Licence (SPDX) of the documents that state none themselves.")

    def identity(self) -> dict[str, Any]:
        """The settings that documents may depend on, as JSON has them: where these change, all are judged anew."""
        fields = type(self).model_fields
        silent = {name for name in self.LATER if getattr(self, name) == fields[name].default}
        return self.model_dump(mode="json", exclude=silent | self.WITHOUT_EFFECT)


class FolderConfig(SourceConfig):
    """A folder; the id of a document is its path below it, with forward slashes."""

    WITHOUT_EFFECT: ClassVar[frozenset[str]] = frozenset({"max_seconds", "follow_links"})

    kind: Literal["folder"] = Field(description="A folder of files.")
    path: str = Field(min_length=1, description="The folder, relative to the configuration file's folder.")
    include: tuple[str, ...] = Field(
        default=(),
        description="Patterns of the files to take, as in .gitignore: `**` crosses folders, a pattern without `/` "
        "holds at any depth, one that names a folder takes all that is below it, and `!` takes back. Files of an "
        "unknown suffix are then taken as text, and hidden ones where a pattern names them (`.github/**`). Empty: all "
        "files of a known suffix.",
    )
    exclude: tuple[str, ...] = Field(
        default=(),
        description="Patterns of files and folders to leave out, as in .gitignore: `name/` is a folder alone, and `!` "
        "takes back, though nothing below a folder that is left out.",
    )
    encoding: Label = Field(
        default=UTF_8,
        description="What files without a byte order mark are written in: a label that browsers know (`windows-1252`, "
        "`shift_jis`), or `detect`. HTML that is valid UTF-8 or says itself what it is written in needs none.",
    )
    follow_links: bool = Field(
        default=False,
        description="Follow symbolic links that lead out of the folder; else they are quarantined. Whoever may write "
        "to the folder can then publish every file that this program may read.",
    )
    max_bytes: int = Field(
        default=20_000_000,
        gt=0,
        description="Larger files are quarantined instead of being read: as many bytes as the text of "
        "`validation.max_chars` has at most.",
    )
    max_seconds: float = Field(
        default=30.0, gt=0, description="HTML files that take longer to read are quarantined and tried again next time."
    )

    @field_validator("include", "exclude")
    @classmethod
    def _patterns(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        matcher(patterns)
        return patterns


class PythonConfig(SourceConfig):
    """Installed packages, read from their files and never imported; the id of an object is its qualified name."""

    kind: Literal["python"] = Field(description="Installed Python packages.")
    packages: tuple[str, ...] = Field(
        min_length=1,
        description="Import names (`json`, `xml.dom`, `polars`) or distribution names (`scikit-learn`) of this "
        "environment; the standard library's are welcome.",
    )


class Columns(BaseModel):
    """Which column of a table is what."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(default="id", description="The document's id, unique in the source.")
    text: str = Field(default="text", description="The document's text.")
    title: str | None = Field(default=None, description="Its title; unless set, `title` where there is such a column.")
    licence: str | None = Field(default=None, description="Its licence (SPDX).")
    timestamp: str | None = Field(
        default=None, description="Its time; bare ones are in UTC. One that cannot be read costs the time alone."
    )
    queries: str | None = Field(default=None, description="Queries that it answers: one, or a list of them.")
    metadata: tuple[str, ...] = Field(default=(), description="Columns kept as metadata, beside the text.")

    def named(self) -> Mapping[str, str]:
        """The columns that must be there: what each is for, by its name."""
        single = {"id": self.id, "text": self.text, "title": self.title, "licence": self.licence}
        single |= {"timestamp": self.timestamp, "queries": self.queries}
        uses = {column: f"columns.{use}" for use, column in single.items() if column is not None}
        return uses | {column: "columns.metadata" for column in self.metadata if column not in uses}

    def wanted(self) -> frozenset[str]:
        """All columns to read where they are there."""
        return frozenset(self.named()) | {self.title or "title"}


class TableConfig(SourceConfig):
    """What tables have in common."""

    LATER: ClassVar[frozenset[str]] = frozenset({"max_bytes", "time_format"})

    path: str = Field(
        min_length=1,
        description="A file, a glob such as `data/*.jsonl`, or a URL (s3://, gs://, https://, ...); relative to the "
        "configuration file's folder.",
    )
    columns: Columns = Field(default=Columns(), description="Which column is what.")
    time_format: str | None = Field(
        default=None,
        description="The form of times, such as `%d.%m.%Y`, or their unit since 1970: s, ms, us or ns. Unset: ISO "
        "8601, RFC 2822, and numbers by their size.",
    )
    max_bytes: int = Field(
        default=MAX_BYTES,
        gt=0,
        description="Larger rows (a line of JSON, a record of CSV, a cell of Parquet) are quarantined, not decoded.",
    )

    @field_validator("time_format")
    @classmethod
    def _form(cls, form: str | None) -> str | None:
        return None if form is None else check_form(form)


class TextTableConfig(TableConfig):
    """What tables have in common whose files are texts."""

    LATER: ClassVar[frozenset[str]] = TableConfig.LATER | {"encoding"}

    encoding: Label = Field(
        default=UTF_8,
        description="What files without a byte order mark are written in: a label that browsers know (`windows-1252`, "
        "`shift_jis`), or `detect`, which looks at the first MiB of a file.",
    )


class JsonlConfig(TextTableConfig):
    """Files with one JSON object a line."""

    kind: Literal["jsonl"] = Field(description="JSON lines.")


class CsvConfig(TextTableConfig):
    """CSV files with a header line; every value is a string."""

    kind: Literal["csv"] = Field(description="CSV files.")
    separator: str = Field(default=",", min_length=1, max_length=1, description="What separates the values.")


class ParquetConfig(TableConfig):
    """Parquet files."""

    kind: Literal["parquet"] = Field(description="Parquet files.")


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
