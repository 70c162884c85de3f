"""Waivers and retries: what people decided of refused documents, kept beside the quarantine and never deleted."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pyarrow as pa

from storage.errors import InputError
from storage.redaction import redacted
from storage.tables.columns import TIME, key_field, strings
from storage.tables.store import Store, read

__all__ = ["RETRIES", "TABLE", "WAIVERS", "Retries", "Waiver", "Waivers"]

TABLE, _RETRIES = "waivers", "retries"
_TIME = pl.Datetime("us", "UTC")

# One row a waiver. Who lets a document in, and why, is asked long after the waiver has ended.
WAIVERS = pa.schema(
    [
        key_field("waiver", pa.string()),
        *strings("key", "source", "document", "rule", "rule_version", "revision", "content", "why", "who"),
        pa.field("since", TIME),
        pa.field("ended", TIME),
        *strings("ended_by"),
    ]
)
# One row a document, the newest request of it. A run that tried the document since then has met the request: nothing
# needs to mark it, so that a person and a night never write the same row.
RETRIES = pa.schema([key_field("key", pa.string()), *strings("source", "document", "who"), pa.field("since", TIME)])


@dataclass(frozen=True)
class Waiver:
    """One waiver: this content of a document is let in although a rule refuses it.

    Attributes:
        waiver: Its id.
        key: Of the row in quarantine.
        source: Source of the document.
        document: Id of the document there.
        rule: The rule.
        rule_version: What the rule was then (`Rule.identity`): another one refuses again.
        revision: What the source called the version that was refused.
        content: Digest of its content, known once a run has read it; a file that is only touched keeps its waiver.
        why: The reason that was given, on one line.
        who: `user@host` of whoever placed it.
        since: When it was placed.
        ended: When it was lifted; None while it stands.
        ended_by: `user@host` of whoever lifted it.
    """

    waiver: str
    key: str
    source: str
    document: str
    rule: str
    rule_version: str
    revision: str | None
    content: str | None
    why: str
    who: str
    since: datetime
    ended: datetime | None = None
    ended_by: str | None = None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Waiver:
        """Decode a row of the table."""
        return cls(**{name: row[name] for name in WAIVERS.names})

    @property
    def told(self) -> str:
        """The waiver in one phrase for people."""
        return f"waived since {self.since.astimezone(UTC):%Y-%m-%d %H:%M} UTC by {self.who}: {self.why}"

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able values."""
        return asdict(self)


class Waivers:
    """The `waivers` table of a store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def place(self, row: Mapping[str, Any], rule: str, rule_version: str, why: str, who: str, now: datetime) -> Waiver:
        """Waive a rule for what a document holds now; an earlier waiver of the same ends.

        Args:
            row: Of the quarantine.
            rule: The rule.
            rule_version: Its identity.
            why: The reason, for whoever finds the document in the index.
            who: Who does it.
            now: The time, with zone.

        Raises:
            InputError: The reason is blank.
        """
        reason = redacted(" ".join(why.split()))
        if not reason:
            raise InputError('a waiver needs a reason, which everybody is told who finds it: --reason "why"')
        facts = {name: row[name] for name in ("key", "source", "document", "revision")}
        name = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
        made = Waiver(name, rule=rule, rule_version=rule_version, content=None, why=reason, who=who, since=now, **facts)
        before = [each for each in self.standing() if (each.key, each.rule) == (made.key, rule)]
        ended = [replace(each, ended=now, ended_by=who) for each in before]
        self._write([made, *ended])
        return made

    def bind(self, contents: Mapping[str, str]) -> None:
        """Keep what waivers were found to let in, where that is not known yet.

        Args:
            contents: Id of a waiver to the digest of a content.
        """
        found = [each for each in self.all() if each.waiver in contents and each.content is None]
        self._write([replace(each, content=contents[each.waiver]) for each in found])

    def lift(self, names: Iterable[str], who: str, now: datetime) -> list[Waiver]:
        """End waivers; those that ended before stay as they are.

        Args:
            names: Ids of the waivers.
            who: Who does it.
            now: The time, with zone.

        Returns:
            Those that it ended, newest first.
        """
        wanted = set(names)
        lifted = [replace(each, ended=now, ended_by=who) for each in self.standing() if each.waiver in wanted]
        self._write(lifted)
        return lifted

    def standing(self) -> list[Waiver]:
        """The waivers that nobody lifted, newest first; whether one still lets anything in, its run decides."""
        return [each for each in self.all() if each.ended is None]

    def all(self) -> list[Waiver]:
        """Every waiver that there ever was, newest first."""
        table = self.store.find(TABLE)
        rows = [] if table is None else read(table, WAIVERS).to_pylist()
        return sorted(map(Waiver.from_row, rows), key=lambda each: (each.since, each.waiver), reverse=True)

    def _write(self, waivers: list[Waiver]) -> None:
        if waivers:
            self.store.upsert(TABLE, WAIVERS, "waiver", [each.to_dict() for each in waivers])


class Retries:
    """The `retries` table of a store: refused documents that are to be judged anew although nothing changed."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def ask(self, rows: Iterable[Mapping[str, Any]], who: str, now: datetime) -> int:
        """Ask for another try.

        Args:
            rows: Of the quarantine.
            who: Who asks.
            now: The time, with zone.

        Returns:
            For how many documents.
        """
        wanted = [{name: row[name] for name in ("key", "source", "document")} for row in rows]
        if wanted:
            self.store.upsert(_RETRIES, RETRIES, "key", [row | {"who": who, "since": now} for row in wanted])
        return len(wanted)

    def asked(self) -> pl.DataFrame:
        """`key` and `since` of every request."""
        schema: dict[str, Any] = {"key": pl.String, "since": _TIME}
        table = self.store.find(_RETRIES)
        if table is None:
            return pl.DataFrame(schema=schema)
        return pl.DataFrame(pl.from_arrow(read(table, RETRIES, list(schema))), schema=schema)
