"""Holds: while one stands, nights build and publish nothing, and readers keep the release that they have."""

from __future__ import annotations

import getpass
import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from storage.errors import InputError
from storage.redaction import redacted
from storage.tables.columns import TIME, key_field, strings
from storage.tables.store import Store, read

__all__ = ["HOLDS", "TABLE", "Hold", "Holds", "whoever"]

TABLE = "holds"

# One row a hold, which is never deleted: the time line of a store shows for how long readers were kept to what.
HOLDS = pa.schema(
    [
        key_field("hold", pa.string()),
        pa.field("since", TIME),
        *strings("why", "who"),
        pa.field("release", pa.int64()),
        pa.field("ended", TIME),
        *strings("ended_by"),
    ]
)


@dataclass(frozen=True)
class Hold:
    """One hold.

    Attributes:
        hold: Its id.
        since: When it was placed.
        why: The reason that was given, on one line.
        who: `user@host` of whoever placed it.
        release: The release that readers are kept to; None before the first.
        ended: When it was lifted; None while it stands.
        ended_by: `user@host` of whoever lifted it.
    """

    hold: str
    since: datetime
    why: str
    who: str
    release: int | None = None
    ended: datetime | None = None
    ended_by: str | None = None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Hold:
        """Decode a row of the table."""
        return cls(**{name: row[name] for name in HOLDS.names})

    @property
    def told(self) -> str:
        """The hold in one phrase for people."""
        return f"since {self.since.astimezone(UTC):%Y-%m-%d %H:%M} UTC by {self.who}: {self.why}"

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able values."""
        return asdict(self)


class Holds:
    """The `holds` table of a store. Several people may hold at once, each for a reason of their own."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def place(self, why: str, who: str, release: int | None, now: datetime) -> Hold:
        """Hold the store.

        Args:
            why: The reason, for whoever finds it held.
            who: Who does it.
            release: The release that readers see now.
            now: The time, with zone.

        Raises:
            InputError: The reason is blank.
        """
        reason = redacted(" ".join(why.split()))
        if not reason:
            raise InputError('a hold needs a reason, which everybody is told who finds it: tidemark hold "why"')
        made = Hold(f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}", now, reason, who, release)
        self.store.upsert(TABLE, HOLDS, "hold", [made.to_dict()])
        return made

    def keep(self, hold: Hold, release: int | None) -> Hold:
        """Say to which release a hold keeps readers, where that was known only after it was placed."""
        kept = replace(hold, release=release)
        if kept != hold:
            self.store.upsert(TABLE, HOLDS, "hold", [kept.to_dict()])
        return kept

    def lift(self, who: str, now: datetime, *names: str) -> list[Hold]:
        """End holds; those that ended before stay as they are.

        Args:
            who: Who does it.
            now: The time, with zone.
            *names: Ids of the holds; all that stand if none is given.

        Returns:
            Those that it ended, newest first.
        """
        lifted = [replace(each, ended=now, ended_by=who) for each in self.standing() if not names or each.hold in names]
        if lifted:
            self.store.upsert(TABLE, HOLDS, "hold", [each.to_dict() for each in lifted])
        return lifted

    def standing(self) -> list[Hold]:
        """The holds that stand now, newest first."""
        return [each for each in self.all() if each.ended is None]

    def all(self) -> list[Hold]:
        """Every hold that there ever was, newest first."""
        table = self.store.find(TABLE)
        rows = [] if table is None else read(table, HOLDS).to_pylist()
        return sorted(map(Hold.from_row, rows), key=lambda each: (each.since, each.hold), reverse=True)


def whoever() -> str:
    """Whoever runs this process, `user@host`; a container may have no name for its user."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
