"""The `notices` table: what people were told, or are still to be told, one row a message."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from storage.hashing import digest
from storage.tables.columns import TIME, key_field, strings
from storage.tables.store import Store, read

__all__ = ["NOTICES", "TABLE", "Notices"]

TABLE = "notices"
ATTEMPTS = 5  # after that a message is given up: whoever does not answer for nights is not there
KEPT = timedelta(days=7)

# A row is written before its message is sent and marked after it: killed in between, the next run sends it once more.
# At most a message comes twice, and none is lost.
NOTICES = pa.schema(
    [
        key_field("key", pa.string()),
        *strings("target", "event", "subject", "run"),
        pa.field("release", pa.int64()),
        *strings("message", "url"),
        pa.field("created", TIME),
        pa.field("sent", TIME),
        pa.field("attempts", pa.int32()),
    ]
)


class Notices:
    """The `notices` table of a store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def put(self, target: str, event: str, subject: str, now: datetime, **told: Any) -> str | None:
        """Note that somebody is to be told, unless that was noted before.

        Args:
            target: Who.
            event: What happened.
            subject: To what: with target and event it is one message.
            now: The time, with zone.
            **told: run, release, message and url; `sent`, where somebody else has told it already.

        Returns:
            The key of the row; None where it was there.
        """
        key = digest("\x1f".join((target, event, subject)))
        row = dict.fromkeys(NOTICES.names) | {"key": key, "target": target, "event": event, "subject": subject}
        row |= {"created": now, "attempts": 0, **told}
        return key if self.store.insert_new(TABLE, NOTICES, "key", row) else None

    def pending(self, now: datetime) -> list[dict[str, Any]]:
        """The messages that were not sent and are not given up, oldest first."""
        waiting = [row for row in self.all() if row["sent"] is None and row["attempts"] < ATTEMPTS]
        return [row for row in waiting if now - row["created"] < KEPT]

    def tried(self, rows: Iterable[dict[str, Any]]) -> None:
        """Keep what became of messages: `sent`, or one attempt more."""
        listed = list(rows)
        if listed:
            self.store.upsert(TABLE, NOTICES, "key", listed)

    def all(self) -> list[dict[str, Any]]:
        """Every message, oldest first."""
        table = self.store.find(TABLE)
        rows = [] if table is None else read(table, NOTICES).to_pylist()
        return sorted(rows, key=lambda row: (row["created"], row["key"]))
