"""A release: what readers see, as the row that says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa

from storage.tables.columns import TIME, decoding, key_field, strings, unpacked
from storage.tables.roles import TEXT, EncoderRecord, IndexFacts, Role, chunks_table
from storage.tables.seal import SEAL, intact

__all__ = ["DRAFTED", "PACKED", "RELEASES", "STATE", "Draft", "Release", "State"]

RELEASES = pa.schema(
    [
        key_field("seq", pa.int64()),
        pa.field("created", TIME),
        *strings("outcome", "run", "space", "tag"),
        pa.field("restored", pa.int64()),
        *strings("tables", "encoder", "counts", "audit", "index", "config", "chunker", "code", "message", "roles"),
        *strings("digests", SEAL),
    ]
)

PACKED = (
    "tables",
    "encoder",
    "counts",
    "audit",
    "index",
    "config",
    "code",
    "roles",
    "digests",
)  # which are kept as JSON
SHOWN = ("outcome", "run", "restored", "tables", "roles", "counts", "audit", "config", "code", "message")
DRAFTED = (*SHOWN, "digests")
STATE = ("seq", "tag", "tables", "restored", "roles")  # which a `State` is read from


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What a run would publish.

    Attributes:
        run: The run that made it.
        tables: Table name to the version that is to be pinned.
        roles: Role to what answers it; `text` is always there.
        outcome: `published`, or `rollback` for one that points back.
        restored: The release that a rollback points back to.
        counts: Documents and chunks, as `tasks.tally` defines them.
        audit: The checks that were made before it was published.
        config: The configuration, without secrets.
        code: Versions of the program and of the libraries that results depend on.
        message: One line for people.
        digests: Table name to the digests of its files, as `storage.digests` gives them; empty in a release of an older
            format, and where only briefs were read.
    """

    run: str
    tables: dict[str, int]
    roles: dict[str, Role]
    outcome: str = "published"
    restored: int | None = None
    counts: dict[str, int] = field(default_factory=dict)
    audit: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    code: dict[str, Any] = field(default_factory=dict)
    message: str = ""
    digests: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Release(Draft):
    """What readers see: pinned table versions, the roles that they serve and everything that made them.

    Attributes:
        seq: Number of the release; the highest one is what readers open.
        created: When it was published.
        tag: Name of the tag that keeps its versions from clean-up; empty in one that is not published yet.
        intact: Whether its row is as it was written; None where that was not looked at, or an older format wrote it.
    """

    seq: int
    created: datetime
    tag: str
    intact: bool | None = None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Release:
        """Decode a row of the table, also one that was written before releases had roles.

        Raises:
            RecordDamaged: It cannot be decoded.
        """
        record = f"the record of release {row.get('seq')}"
        facts = {name: unpacked(record, value, value) if name in PACKED else value for name, value in row.items()}
        with decoding(record):
            roles = facts.get("roles")
            facts["roles"] = {n: Role.from_dict(r) for n, r in roles.items()} if roles else {TEXT: _first_role(facts)}
        named = {name: facts.get(name) for name in (*DRAFTED, "seq", "created", "tag")}
        lacking = ("counts", "audit", "config", "code", "digests")
        empty: dict[str, Any] = {name: {} for name in lacking if named[name] is None}
        whole = intact(row) if row.keys() >= set(RELEASES.names) else None
        return cls(**named | empty | {"message": named["message"] or "", "intact": whole})

    @property
    def text(self) -> Role:
        """The role that answers text queries."""
        return self.roles[TEXT]

    @property
    def space(self) -> str:
        """Id of the space of the text role."""
        return self.text.space

    def at(self, table: str) -> str | int:
        """Where a table of the release stands: at its tag; at a bare version in one that is not published yet."""
        return self.tag or self.tables[table]

    @property
    def chunks(self) -> str:
        """Name of the table of text chunks."""
        with decoding(f"the record of release {self.seq}"):
            if self.text.table is None:
                raise ValueError("a text role is published with its table")
        return self.text.table

    def to_dict(self) -> dict[str, Any]:
        """The release as JSON-able values; what belongs to the text role stands beside the others too."""
        plain = {name: getattr(self, name) for name in (*SHOWN, "created", "tag")}
        text = self.text
        plain |= {"space": text.space, "encoder": text.encoder.to_dict(), "index": text.index.to_dict()}
        roles = {name: role.to_dict() for name, role in self.roles.items()}
        return {"release": self.seq, **plain, "chunker": text.chunker, "roles": roles}


def _first_role(facts: Mapping[str, Any]) -> Role:
    """The one role of a release that was written before there were several."""
    space = facts["space"] or ""
    table = next((name for name in facts["tables"] if name.startswith(chunks_table(""))), None)
    return Role(
        space=space,
        encoder=EncoderRecord.from_dict({"id": space, **(facts["encoder"] or {})}),
        table=table,
        version=None if table is None else facts["tables"][table],
        index=IndexFacts.from_dict(facts["index"] or {}),
        chunker=facts["chunker"] or "",
    )


@dataclass(frozen=True)
class State:
    """Which versions of which tables a release pins, and what serves beside them.

    Attributes:
        seq: Number of the release.
        tag: Name of the tag that keeps its versions.
        tables: Table name to version.
        restored: The release that a rollback points back to.
        beside: Role to space, of the roles without a table.
    """

    seq: int
    tag: str
    tables: dict[str, int]
    restored: int | None
    beside: dict[str, str]

    @classmethod
    def of(cls, release: Release) -> State:
        """The state that a release pins."""
        beside = {name: role.space for name, role in release.roles.items() if role.table is None}
        return cls(release.seq, release.tag, release.tables, release.restored, beside)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> State:
        """Decode the columns `STATE` of a row; a release of an older format had no roles.

        Raises:
            RecordDamaged: It cannot be decoded.
        """
        record = f"the record of release {row['seq']}"
        roles, tables = (unpacked(record, row[name], {}) for name in ("roles", "tables"))
        with decoding(record):
            beside = {name: role["space"] for name, role in roles.items() if role.get("table") is None}
        return cls(row["seq"], row["tag"], tables, row["restored"], beside)

    def same(self, other: State) -> bool:
        """Whether readers of both see the same."""
        return self.tables == other.tables and self.beside == other.beside

    def pinned(self, tags: Mapping[str, set[str]]) -> bool:
        """Whether each of its tables, of those with these tags, still has its tag."""
        return all(self.tag in tags[name] for name in self.tables)
