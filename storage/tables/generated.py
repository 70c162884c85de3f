"""The `generated` table: questions that a model wrote for passages, so that none is paid for twice."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import polars as pl
import pyarrow as pa

from storage.hashing import digest
from storage.tables.columns import TIME, key_field, strings
from storage.tables.store import Store, read

__all__ = ["GENERATED", "Generated"]

GENERATED = pa.schema(
    [
        key_field("id", pa.string()),
        *strings("key", "content_hash", "question", "model", "run"),
        pa.field("created", TIME),
    ]
)

_TABLE = "generated"


class Generated:
    """The `generated` table of a store: outside of releases, since what was paid for stays paid for."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def all(self, model: str | None = None) -> pl.DataFrame:
        """key, content_hash and question of every passage that was asked about, in a fixed order.

        Args:
            model: Of this model alone.
        """
        columns = ["id", "key", "content_hash", "question", "model"]
        table = self.store.find(_TABLE)
        if table is None:
            return pl.DataFrame(schema=dict.fromkeys(columns[1:-1], pl.String))
        found = pl.DataFrame(pl.from_arrow(read(table, GENERATED, columns))).sort("id")
        kept = found if model is None else found.filter(pl.col("model") == model)
        return kept.select(columns[1:-1])

    def add(self, written: pl.DataFrame, *, model: str, run: str, now: datetime) -> None:
        """Take questions in, durable when this returns; a passage that has one of this model gets the new one.

        Args:
            written: key, content_hash, question; an empty question says that the model had none.
            model: Who wrote them.
            run: The run that asked.
            now: When.
        """
        if written.is_empty():
            return
        ids = [digest(f"{model}\x1f{content}") for content in written["content_hash"]]
        rows = written.select("key", "content_hash", "question").with_columns(
            pl.Series("id", ids), model=pl.lit(model), run=pl.lit(run), created=pl.lit(now, pl.Datetime("us", "UTC"))
        )
        unique = rows.unique("id", keep="first", maintain_order=True)
        self.store.upsert(_TABLE, GENERATED, "id", unique.select(GENERATED.names).to_arrow().cast(GENERATED))

    def forget(self, keys: Iterable[str]) -> int:
        """Delete what was written for some documents; returns how many rows went."""
        wanted = list(keys)
        return self.store.delete_keys(_TABLE, "key", wanted) if wanted and self.store.find(_TABLE) else 0
