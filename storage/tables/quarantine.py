"""The quarantine: every row that was refused, why, and how often it was tried."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import polars as pl
import pyarrow as pa

from storage.tables.columns import TIME, key_field, strings
from storage.tables.store import Store, read

__all__ = ["QUARANTINE", "Quarantine"]

QUARANTINE = pa.schema(
    [
        key_field("key", pa.string()),
        *strings("source", "document", "revision", "rule", "rule_version", "reason", "judged", "excerpt"),
        pa.field("attempts", pa.int32()),
        pa.field("first_seen", TIME),
        pa.field("last_seen", TIME),
        *strings("run"),
    ]
)

_TABLE = "quarantine"
_HELD = ["key", "source", "document", "revision", "rule", "judged"]


class Quarantine:
    """The `quarantine` table of a store: durable, outside of releases, so that a refused run's reasons stay too."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def held(self) -> pl.DataFrame:
        """What is refused now: key, source, document, revision, rule, judged."""
        table = self.store.find(_TABLE)
        schema = dict.fromkeys(_HELD, pl.String)
        if table is None:
            return pl.DataFrame(schema=schema)
        return pl.DataFrame(pl.from_arrow(read(table, QUARANTINE, _HELD)), schema=schema)

    def refuse(self, rows: pl.DataFrame, run: str, now: datetime) -> None:
        """Take rows in, or count one more attempt for rows that are there.

        Args:
            rows: key, source, document, revision, rule, rule_version, reason, judged, excerpt.
            run: The run that refused them.
            now: When.
        """
        if rows.is_empty():
            return
        before = self._attempts(rows["key"].to_list())
        full = [
            row
            | {
                "attempts": before.get(row["key"], {}).get("attempts", 0) + 1,
                "first_seen": before.get(row["key"], {}).get("first_seen", now),
                "last_seen": now,
                "run": run,
            }
            for row in rows.to_dicts()
        ]
        self.store.upsert(_TABLE, QUARANTINE, "key", full)

    def release(self, keys: Iterable[str]) -> int:
        """Let rows go whose document was accepted or is gone; returns how many."""
        wanted = list(keys)
        return self.store.delete_keys(_TABLE, "key", wanted) if wanted else 0

    def all(self) -> list[dict[str, Any]]:
        """All refused rows, newest first."""
        table = self.store.find(_TABLE)
        rows = [] if table is None else read(table, QUARANTINE).to_pylist()
        return sorted(rows, key=lambda row: (row["last_seen"], row["source"], row["document"]), reverse=True)

    def _attempts(self, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
        table = self.store.find(_TABLE)
        if table is None:
            return {}
        wanted = set(keys)
        rows = table.to_table(columns=["key", "attempts", "first_seen"]).to_pylist()
        return {row["key"]: row for row in rows if row["key"] in wanted}
