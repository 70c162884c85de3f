"""Releases: the one commit point, the way back, and what is kept for it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from storage.errors import InputError, NothingBefore, ReleaseMoved, TidemarkError
from storage.tables.numbers import last_number
from storage.tables.release import DRAFTED, PACKED, RELEASES, STATE, Draft, Release, State
from storage.tables.roles import TEXT
from storage.tables.seal import sealed
from storage.tables.store import Store, pick, read
from storage.tables.tags import tags_of

__all__ = ["RELEASES", "Draft", "Release", "Releases"]

_TABLE = "releases"
_DOCUMENTS = "documents"  # which every release pins
_BULKY = ("audit", "config", "code", "digests")


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
        kept = [state.seq for state in states if state.pinned(tags)]
        rows = self._rows(RELEASES.names, "seq", kept) if kept else []
        return [Release.from_row(row) for row in rows]

    def standing(self, keep: int) -> list[Release]:
        """The releases that hold one of the newest `keep` distinct states, newest first, pinned or not."""
        ranked = [state.seq for state, rank in self._ranked() if rank < keep]
        rows = self._rows(RELEASES.names, "seq", ranked) if ranked else []
        return [Release.from_row(row) for row in rows]

    def tables(self) -> set[str]:
        """Names of the tables of all releases there ever were."""
        return {name for state in self._states() for name in state.tables}

    def made_by(self, runs: Iterable[str]) -> dict[str, int]:
        """Run to the number of the release that it published, of those that published one."""
        rows = self._rows(["seq", "run"], "run", runs)
        return {row["run"]: row["seq"] for row in rows}

    def rollbacks(self) -> dict[str, tuple[int, datetime]]:
        """Run to the number and the time of the release that it published, of all rollbacks."""
        rows = self._rows(["seq", "created", "run", "restored"])
        return {row["run"]: (row["seq"], row["created"]) for row in rows if row["restored"] is not None}

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
        row |= {name: getattr(draft, name) for name in DRAFTED} | {"space": draft.roles[TEXT].space}
        row["roles"] = {name: role.to_dict() for name, role in draft.roles.items()}
        packed = {k: json.dumps(v, sort_keys=True, default=str) if k in PACKED and v else v for k, v in row.items()}
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
        if target.seq == current.seq or State.of(target).same(State.of(current)):
            raise NothingBefore(f"release {target.seq} is what readers see already: there is nothing to roll back")
        if not State.of(target).pinned(self._tags([target])):
            kept = ", ".join(str(release.seq) for release in self.retained())
            raise InputError(
                f"release {target.seq} is no longer kept (releases.keep); you can go back to one of: {kept}"
            )
        carried = {name: getattr(target, name) for name in DRAFTED}
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
        ranked = self._ranked()
        releases = [release for release, _ in ranked]
        tags = self._tags(releases)
        gone = []
        for release, rank in ranked:
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

        def origin(state: State) -> State:
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
        if seq not in range(1, 2**63):  # no column holds it
            return None
        return next((Release.from_row(row) for row in self._rows(RELEASES.names, "seq", [seq])), None)

    def _rows(self, columns: list[str], key: str | None = None, values: Iterable[Any] = ()) -> list[dict[str, Any]]:
        """Some columns of all releases, or of those whose `key` is one of `values`, newest first."""
        table = self.store.find(_TABLE)
        if table is None:
            return []
        wanted = tuple(values)

        def look() -> pa.Table:
            found = read(table, RELEASES, columns) if key is None else pick(table, RELEASES, key, wanted, columns)
            return found.sort_by([("seq", "descending")])

        return self.store.recent.get(table, (tuple(columns), key, wanted), look).to_pylist()

    def _states(self) -> list[State]:
        """What is pinned by whom, of every release ever published, newest first: all that is read of old ones."""
        return [State.from_row(row) for row in self._rows(list(STATE))]

    def _ranked(self) -> list[tuple[State, int]]:
        """Every state, newest first, with how many distinct ones are newer."""
        ranks: dict[tuple[tuple[str, int], ...], int] = {}
        states = self._states()
        return [(state, ranks.setdefault(tuple(sorted(state.tables.items())), len(ranks))) for state in states]

    def _tags(self, releases: Iterable[State | Release]) -> dict[str, set[str]]:
        """The tags of every table that these releases name: one look a table, however many releases there were."""
        names = {name for release in releases for name in release.tables}
        tables = {name: self.store.find(name) for name in sorted(names)}
        return {name: set() if table is None else tags_of(table) for name, table in tables.items()}

    def _unpin(self, tables: Iterable[str], tag: str) -> None:
        for name in tables:
            table = self.store.find(name)
            if table is not None and tag in tags_of(table):
                table.tags.delete(tag)
