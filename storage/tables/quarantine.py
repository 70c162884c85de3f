"""The quarantine: every row that was refused, why, how often it was tried, and what stands in for it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import polars as pl

from storage.tables.columns import QUARANTINE
from storage.tables.store import Store

__all__ = ["HELD", "Quarantine"]

_TABLE = "quarantine"
_TIME = pl.Datetime("us", "UTC")
# What a plan and a run ask of the rows that are held.
HELD: dict[str, pl.DataType | type[pl.DataType]] = {
    **dict.fromkeys(["key", "source", "document", "revision", "rule", "judged"], pl.String),
    "defect": pl.Boolean,
    "stale_since": _TIME,
    "first_seen": _TIME,
}


class Quarantine:
    """The `quarantine` table of a store: durable, outside of releases, so that a refused run's reasons stay too."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def held(self) -> pl.DataFrame:
        """What is refused now, `HELD` columns; `defect` and `stale_since` are null in rows of before these columns."""
        return self._read(HELD)

    def refuse(self, rows: pl.DataFrame, run: str, now: datetime) -> None:
        """Take rows in, or count one more attempt for rows that are there.

        A row that is there keeps when it was first seen, and since when its document is stale: whether a document goes
        stale is decided by the gate, after its rows were refused.

        Args:
            rows: key, source, document, revision, rule, rule_version, reason, judged, excerpt, defect.
            run: The run that refused them.
            now: When.
        """
        if rows.is_empty():
            return
        before = self._read({"key": pl.String, "attempts": pl.Int32, "first_seen": _TIME, "stale_since": _TIME})
        time = pl.lit(now, _TIME)
        full = rows.join(before, on="key", how="left", maintain_order="left").with_columns(
            pl.col("attempts").fill_null(0) + 1,
            pl.col("first_seen").fill_null(time),
            time.alias("last_seen"),
            pl.lit(run).alias("run"),
        )
        self.store.upsert(_TABLE, QUARANTINE, "key", full.select(QUARANTINE.names).to_arrow().cast(QUARANTINE))

    def mark(self, stale: pl.DataFrame) -> None:
        """Write since when documents are stale.

        Args:
            stale: key of a row that is held, stale_since (null: no earlier version stands in for it).
        """
        table = self.store.find(_TABLE)
        if table is None or stale.is_empty():
            return
        there = pl.DataFrame(pl.from_arrow(table.to_table())).drop("stale_since", strict=False)
        rows = there.join(stale.select("key", "stale_since"), on="key", how="inner")
        if rows.height:
            self.store.upsert(_TABLE, QUARANTINE, "key", rows.select(QUARANTINE.names).to_arrow().cast(QUARANTINE))

    def release(self, keys: Iterable[str]) -> int:
        """Let rows go whose document was accepted or is gone; returns how many."""
        wanted = list(keys)
        return self.store.delete_keys(_TABLE, "key", wanted) if wanted else 0

    def all(self) -> list[dict[str, Any]]:
        """All refused rows, newest first."""
        table = self.store.find(_TABLE)
        plain = {"defect": None, "stale_since": None}  # a table of before these columns has none
        rows = [] if table is None else [plain | row for row in table.to_table().to_pylist()]
        return sorted(rows, key=lambda row: (row["last_seen"], row["source"], row["document"]), reverse=True)

    def _read(self, columns: dict[str, Any]) -> pl.DataFrame:
        """Read some columns of all rows; one that the table does not have yet is null."""
        table = self.store.find(_TABLE)
        if table is None:
            return pl.DataFrame(schema=columns)
        there = [name for name in columns if name in table.schema.names]
        frame = pl.DataFrame(pl.from_arrow(table.to_table(columns=there)))
        missing = [pl.lit(None).alias(name) for name in columns if name not in there]
        return frame.with_columns(missing).select(pl.col(name).cast(kind) for name, kind in columns.items())
