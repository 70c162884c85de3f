"""Releases: the one commit point, the way back, and what is kept for it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from storage.errors import InputError, NothingBefore, ReleaseMoved, TidemarkError
from storage.tables.columns import TIME, key_field, strings
from storage.tables.numbers import last_number
from storage.tables.roles import TEXT, EncoderRecord, IndexFacts, Role, chunks_table
from storage.tables.seal import SEAL, intact, sealed
from storage.tables.store import Store, pick, read, tags_of

__all__ = ["RELEASES", "Draft", "Release", "Releases"]

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

_TABLE = "releases"
_DOCUMENTS = "documents"  # which every release pins
_JSON = ("tables", "encoder", "counts", "audit", "index", "config", "code", "roles", "digests")
_BULKY = ("audit", "config", "code", "digests")
_SHOWN = ("outcome", "run", "restored", "tables", "roles", "counts", "audit", "config", "code", "message")
_DRAFTED = (*_SHOWN, "digests")


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
        """Decode a row of the table, also one that was written before releases had roles."""
        facts = {name: json.loads(value) if name in _JSON and value else value for name, value in row.items()}
        roles = facts.get("roles")
        facts["roles"] = {n: Role.from_dict(r) for n, r in roles.items()} if roles else {TEXT: _first_role(facts)}
        named = {name: facts.get(name) for name in (*_DRAFTED, "seq", "created", "tag")}
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
        assert self.text.table is not None  # noqa: S101 - a text role is published with its table
        return self.text.table

    def to_dict(self) -> dict[str, Any]:
        """The release as JSON-able values; what belongs to the text role stands beside the others too."""
        plain = {name: getattr(self, name) for name in (*_SHOWN, "created", "tag")}
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
class _State:
    """Which versions of which tables a release pins, and what serves beside them: roles without a table, by name."""

    seq: int
    tag: str
    tables: dict[str, int]
    restored: int | None
    beside: dict[str, str]

    def same(self, other: _State) -> bool:
        """Whether readers of both see the same."""
        return self.tables == other.tables and self.beside == other.beside


class Releases:
    """The `releases` table of a store and the tags that keep its versions."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def all(self, *, brief: bool = False) -> list[Release]:
        """Every release ever published, newest first.

        Args:
            brief: Leave out audit, configuration and code, which are most of what there is to read.
        """
        rows = self._rows([name for name in RELEASES.names if not (brief and name in _BULKY)])
        return [Release.from_row(row) for row in rows]

    def current(self) -> Release | None:
        """The release that readers see; None before the first."""
        newest = self.newest()
        return None if newest is None else self._find(newest)

    def newest(self) -> int | None:
        """The number of the release that readers see; None before the first."""
        rows = self._rows(["seq"])[:1]
        return int(rows[0]["seq"]) if rows else None

    def publishing(self) -> bool:
        """Whether tables are pinned for a release that is not there: by a run that publishes now, or one that died."""
        table, newest = self.store.find(_DOCUMENTS), self.newest() or 0
        tags = set() if table is None else tags_of(table)
        return any(tag.startswith("rel-") and int(tag.split("-")[1]) > newest for tag in tags)

    def get(self, seq: int | None = None) -> Release:
        """A release by number, or the current one.

        Raises:
            InputError: Nothing is published yet, or there is no such number.
        """
        found = self.current() if seq is None else self._find(seq)
        if found is not None:
            return found
        newest = self.newest()
        if newest is None:
            raise InputError(f"{self.store.uri}: nothing is published yet; run `tidemark refresh`")
        raise InputError(f"there is no release {seq}; the newest is {newest} (`tidemark releases` lists them)")

    def retained(self) -> list[Release]:
        """The releases whose tables are still pinned, newest first."""
        states = self._states()
        tags = self._tags(states)
        kept = [state.seq for state in states if _pinned(state, tags)]
        rows = self._rows(RELEASES.names, "seq", kept) if kept else []
        return [Release.from_row(row) for row in rows]

    def tables(self) -> set[str]:
        """Names of the tables of all releases there ever were."""
        return {name for state in self._states() for name in state.tables}

    def made_by(self, runs: Iterable[str]) -> dict[str, int]:
        """Run to the number of the release that it published, of those that published one."""
        rows = self._rows(["seq", "run"], "run", runs)
        return {row["run"]: row["seq"] for row in rows}

    def publish(self, base: int, draft: Draft, guard: Callable[[], None] | None = None) -> Release:
        """Pin the table versions of a draft and make it the next release, all at once or not at all.

        Args:
            base: Number of the release that this one was made from, 0 before the first.
            draft: What is to be published.
            guard: Called when all is pinned and only the row is missing; what it raises ends the publish.

        Raises:
            ReleaseMoved: Another release took the number meanwhile; nothing was published.
        """
        last = last_number(self.store, self.newest)
        # Above what an older copy of the table, put back, has forgotten; never above what was published meanwhile.
        seq = max(base, last if (self.newest() or 0) == base else base) + 1
        tag = f"rel-{seq}-{secrets.token_hex(4)}"  # the suffix keeps a loser of the race from moving the winner's tag
        for name, version in draft.tables.items():
            self.store.open(name, version).tags.create(tag, version)
        row = dict.fromkeys(RELEASES.names) | {"seq": seq, "created": datetime.now(UTC), "tag": tag}
        row |= {name: getattr(draft, name) for name in _DRAFTED} | {"space": draft.roles[TEXT].space}
        row["roles"] = {name: role.to_dict() for name, role in draft.roles.items()}
        packed = {k: json.dumps(v, sort_keys=True, default=str) if k in _JSON and v else v for k, v in row.items()}
        packed = sealed({name: value if value != {} else None for name, value in packed.items()})
        try:
            if guard is not None:
                guard()
        except TidemarkError:
            self._unpin(draft.tables, tag)
            raise
        if self.store.insert_new(_TABLE, RELEASES, "seq", packed):
            return Release.from_row(packed)
        self._unpin(draft.tables, tag)
        raise ReleaseMoved(
            f"release {seq} was published by another run or a rollback while this one worked on top of {base}. "
            "Nothing of this run was published; its vectors are kept: start it again."
        )

    def rollback(self, to: int | None, run: str) -> Release:
        """Append a release that points back to an earlier one.

        Args:
            to: The release to go back to; None for the one before the current.
            run: The run that does it.

        Raises:
            InputError: There is no such release, it is the current one, or its tables are no longer kept.
            ReleaseMoved: Another release was published at the same moment.
        """
        current = self.get()
        target = self._before(current) if to is None else self.get(to)
        if target.seq == current.seq or _state(target).same(_state(current)):
            raise NothingBefore(f"release {target.seq} is what readers see already: there is nothing to roll back")
        if not _pinned(target, self._tags([target])):
            kept = ", ".join(str(release.seq) for release in self.retained())
            raise InputError(
                f"release {target.seq} is no longer kept (releases.keep); you can go back to one of: {kept}"
            )
        carried = {name: getattr(target, name) for name in _DRAFTED}
        carried |= {"outcome": "rollback", "run": run, "restored": target.seq}
        carried["message"] = f"back to release {target.seq} from {current.seq}"
        return self.publish(current.seq, Draft(**carried))

    def state_roles(self) -> None:
        """Write the roles of releases that an older format published, as `Release.from_row` reads them."""
        rows = [row for row in self._rows(RELEASES.names) if row["roles"] is None]
        for row in rows:
            roles = {name: role.to_dict() for name, role in Release.from_row(row).roles.items()}
            row["roles"] = json.dumps(roles, sort_keys=True)
        if rows:
            self.store.upsert(_TABLE, RELEASES, "seq", rows)

    def expire(self, keep: int) -> list[int]:
        """Unpin all but the newest `keep` distinct states, and tags that no release owns.

        Returns:
            The numbers of the releases that were let go, newest first.
        """
        releases = self._states()
        tags = self._tags(releases)
        states: dict[tuple[tuple[str, int], ...], int] = {}
        gone = []
        for release in releases:
            rank = states.setdefault(tuple(sorted(release.tables.items())), len(states))
            # Any tag left counts: one that stayed when a kill came between two tables would keep its files for good.
            if rank >= keep and any(release.tag in tags[name] for name in release.tables):
                self._unpin(release.tables, release.tag)
                gone.append(release.seq)
        known = {release.tag for release in releases}
        newest = releases[0].seq if releases else 0
        for name, held in tags.items():
            # A number above the newest may be a rollback that publishes right now; a decided one is a loser's.
            for tag in held - known:
                if tag.startswith("rel-") and int(tag.split("-")[1]) <= newest:
                    self._unpin([name], tag)
        return gone

    def _before(self, current: Release) -> Release:
        """The release that the current one was made from: a rollback of a rollback goes further back.

        A release that was rolled back from is never on that way: the night after was made from what was restored.
        """
        known = {state.seq: state for state in self._states()}

        def origin(state: _State) -> _State:
            while state.restored is not None:
                state = known[state.restored]
            return state

        now = known[current.seq]
        step = known.get(origin(now).seq - 1)
        while step is not None and step.same(now):
            step = known.get(origin(step).seq - 1)
        if step is None:
            raise NothingBefore(f"there is no release before {current.seq} to go back to")
        return self.get(origin(step).seq)

    def _find(self, seq: int) -> Release | None:
        return next((Release.from_row(row) for row in self._rows(RELEASES.names, "seq", [seq])), None)

    def _rows(self, columns: list[str], key: str | None = None, values: Iterable[Any] = ()) -> list[dict[str, Any]]:
        """Some columns of all releases, or of those whose `key` is one of `values`, newest first."""
        table = self.store.find(_TABLE)
        if table is None:
            return []
        found = read(table, RELEASES, columns) if key is None else pick(table, RELEASES, key, values, columns)
        return found.sort_by([("seq", "descending")]).to_pylist()

    def _states(self) -> list[_State]:
        """What is pinned by whom, of every release ever published, newest first: all that is read of old ones."""
        rows = self._rows(["seq", "tag", "tables", "restored", "roles"])
        return [
            _State(row["seq"], row["tag"], json.loads(row["tables"] or "{}"), row["restored"], _beside(row["roles"]))
            for row in rows
        ]

    def _tags(self, releases: Iterable[_State | Release]) -> dict[str, set[str]]:
        """The tags of every table that these releases name: one look a table, however many releases there were."""
        names = {name for release in releases for name in release.tables}
        tables = {name: self.store.find(name) for name in sorted(names)}
        return {name: set() if table is None else tags_of(table) for name, table in tables.items()}

    def _unpin(self, tables: Iterable[str], tag: str) -> None:
        for name in tables:
            table = self.store.find(name)
            if table is not None and tag in tags_of(table):
                table.tags.delete(tag)


def _state(release: Release) -> _State:
    beside = {name: role.space for name, role in release.roles.items() if role.table is None}
    return _State(release.seq, release.tag, release.tables, release.restored, beside)


def _beside(roles: str | None) -> dict[str, str]:
    """Role to space, of the roles without a table; a release of an older format had none."""
    return {name: role["space"] for name, role in json.loads(roles or "{}").items() if role.get("table") is None}


def _pinned(release: _State | Release, tags: Mapping[str, set[str]]) -> bool:
    return all(release.tag in tags[name] for name in release.tables)
