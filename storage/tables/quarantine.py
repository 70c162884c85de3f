"""The quarantine: every row that was refused, why, how often it was tried, and what stands in for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from storage.tables.columns import TIME, key_field, strings
from storage.tables.store import Store, read

if TYPE_CHECKING:
    import polars as pl

__all__ = ["HELD", "QUARANTINE", "TOLD", "Quarantine"]

QUARANTINE = pa.schema(
    [
        key_field("key", pa.string()),
        *strings("source", "document", "revision", "rule", "rule_version", "reason", "judged", "excerpt"),
        pa.field("attempts", pa.int32()),
        pa.field("first_seen", TIME),
        pa.field("last_seen", TIME),
        *strings("run"),
        pa.field("defect", pa.bool_()),  # broken, rather than unwanted; null in rows of before this column
        pa.field("stale_since", TIME),  # since when the last good version stands in; null where none does
    ]
)

_TABLE = "quarantine"
# What a plan and a run ask of the rows that are held.
HELD = ("key", "source", "document", "revision", "rule", "judged", "defect", "stale_since", "first_seen", "last_seen")
# What a report says of them.
TOLD = ("source", "document", "rule", "reason", "attempts", "first_seen", "stale_since")


class Quarantine:
    """The `quarantine` table of a store: durable, outside of releases, so that a refused run's reasons stay too."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def held(self) -> pl.DataFrame:
        """What is refused now, `HELD` columns; `defect` and `stale_since` are null in rows of before these columns."""
        return self._read(HELD)

    def told(self) -> pl.DataFrame:
        """What is refused now, `TOLD` columns, by source and document: what a report names and counts."""
        return self._read(TOLD).sort("source", "document")

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
        import polars as pl

        before = self._read(("key", "attempts", "first_seen", "stale_since"))
        time = pl.lit(now, pl.Datetime("us", "UTC"))
        # Left: a row that was never refused before has no attempts yet.
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
        import polars as pl

        there = pl.DataFrame(pl.from_arrow(table.to_table())).drop("stale_since", strict=False)
        # Inner: only rows that are in the quarantine can be marked.
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
        rows = [] if table is None else read(table, QUARANTINE).to_pylist()
        return sorted(rows, key=lambda row: (row["last_seen"], row["source"], row["document"]), reverse=True)

    def counted(self) -> tuple[int, int]:
        """How many documents are refused now, and of how many of them the last good version stays."""
        table = self.store.find(_TABLE)
        if table is None:
            return 0, 0
        since = read(table, QUARANTINE, ["stale_since"])["stale_since"]
        return len(since), len(since) - since.null_count

    def _read(self, columns: Sequence[str]) -> pl.DataFrame:
        """Read some columns of all rows; one that the table does not have yet is null."""
        import polars as pl  # here: a command that only counts or lists rows needs none

        table = self.store.find(_TABLE)
        if table is None:
            rows = pa.schema([QUARANTINE.field(name) for name in columns]).empty_table()
        else:
            rows = read(table, QUARANTINE, list(columns))
        return pl.DataFrame(pl.from_arrow(rows))
