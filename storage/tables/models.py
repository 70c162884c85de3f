"""The `models` table: what is known of each model that was trained here or brought in, beside its folder."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, Self

import pyarrow as pa

from storage.tables.columns import TIME, key_field, strings, unpacked
from storage.tables.store import Store, pick, read

__all__ = ["MODELS", "PACKED", "UNUSED", "ModelRecord", "Models"]

MODELS = pa.schema(
    [
        key_field("space", pa.string()),
        *strings("name", "kind", "parent", "root"),
        pa.field("created", TIME),
        *strings("run", "licence", "recipe", "data", "metrics", "digests"),
        pa.field("bytes", pa.int64()),
    ]
)

UNUSED = 3  # models of an origin that no release uses and that stay, the newest: people may want to look at them

_TABLE = "models"
PACKED = ("recipe", "data", "metrics", "digests")


@dataclass(frozen=True, kw_only=True)
class ModelRecord:
    """A model of the registry.

    Attributes:
        space: Id of its space, which is the name of its folder.
        name: What people call it.
        kind: What it does.
        parent: Space of the model that it was trained from; None for one that was not trained here.
        root: Space of the configured encoder that its line begins with; None for one that was not trained here.
        created: When it was put into the registry.
        run: The run that did so.
        licence: SPDX tag or name of its licence, where it is known.
        recipe: How it was trained; empty for one that was not.
        data: What it was trained on: digest of the pairs, version of the documents; or where it was brought in from.
        metrics: What was measured of it.
        digests: File of its folder to SHA-256.
        bytes: Size of its files.
    """

    space: str
    name: str
    kind: Literal["encoder", "reranker"] = "encoder"
    parent: str | None = None
    root: str | None = None
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    run: str = ""
    licence: str | None = None
    recipe: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    bytes: int = 0

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Decode a row of the table.

        Raises:
            RecordDamaged: It cannot be decoded.
        """
        record = f"the record of model {row['space']}"
        return cls(**{n: unpacked(record, value, {}) if n in PACKED else value for n, value in row.items()})

    @property
    def trained(self) -> bool:
        """Whether it was trained here."""
        return self.parent is not None

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON-able values."""
        return asdict(self)


class Models:
    """The `models` table of a store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def all(self) -> list[ModelRecord]:
        """Every model that is recorded, newest first."""
        table = self.store.find(_TABLE)
        rows = [] if table is None else read(table, MODELS).to_pylist()
        found = [ModelRecord.from_row(row) for row in rows]
        return sorted(found, key=lambda record: (record.created, record.space), reverse=True)

    def find(self, space: str) -> ModelRecord | None:
        """The record of a space; None where there is none."""
        table = self.store.find(_TABLE)
        rows = [] if table is None else pick(table, MODELS, "space", [space]).to_pylist()
        return ModelRecord.from_row(rows[0]) if rows else None

    def record(self, record: ModelRecord) -> None:
        """Write a record, or replace that of the same space, for example once its metrics are known."""
        row = {
            name: json.dumps(value, sort_keys=True, default=str) if name in PACKED else value
            for name, value in record.to_dict().items()
        }
        self.store.upsert(_TABLE, MODELS, "space", [row])

    def waiting(self, used: Iterable[str]) -> set[str]:
        """The spaces that no release uses and whose folders stay nevertheless.

        Args:
            used: The spaces of the retained releases.
        """
        origins: dict[tuple[str, bool], list[str]] = {}
        for record in self.all():
            if record.space not in set(used):
                origins.setdefault((record.kind, record.trained), []).append(record.space)
        return {space for spaces in origins.values() for space in spaces[:UNUSED]}
