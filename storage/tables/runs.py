"""The record of every run: what went in, what came out, and why it ended as it did."""

from __future__ import annotations

import json
import os
import secrets
import socket
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypedDict, Unpack

import pyarrow as pa
import pyarrow.compute as pc

from storage.errors import InputError, faults
from storage.outcome import Outcome
from storage.prefixes import one_of
from storage.tables.columns import TIME, key_field, strings, unpacked
from storage.tables.lease import holder, signs_of_life
from storage.tables.releases import Releases
from storage.tables.store import Store, pick, read

__all__ = ["BROKEN_OFF", "PACKED", "RUNS", "Facts", "Runs", "new_run"]

RUNS = pa.schema(
    [
        key_field("run", pa.string()),
        *strings("kind", "trigger", "outcome", "message"),
        pa.field("started", TIME),
        pa.field("finished", TIME),
        pa.field("token", pa.int64()),
        pa.field("base", pa.int64()),
        pa.field("release", pa.int64()),
        *strings("host", "config", "code", "libraries", "data", "model", "counts", "seconds"),
    ]
)

_TABLE = "runs"
_FOUND_BY = pa.schema([RUNS.field(name) for name in ("run", "kind", "outcome", "started")])
PACKED = ("config", "code", "libraries", "data", "model", "counts", "seconds")
_PLAIN = ("trigger", "token", "base", "release", "message")
_ORDER: list[tuple[str, Literal["ascending", "descending"]]] = [("started", "descending"), ("run", "descending")]
_DIED = "the process ended without a word (killed, or the machine went down)"
BROKEN_OFF = f"{_DIED}; the next run goes on"
_GRACE = timedelta(minutes=1)  # which a rollback that has published has for the rest, before it is told as dead


def new_run(now: datetime | None = None) -> str:
    """A run id that sorts by time: `20260131-235959-a1b2c3`."""
    return f"{now or datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


class Facts(TypedDict, total=False):
    """What a run may record beside how it ended.

    Attributes:
        trigger: Who started it.
        token: Fencing token of its lease.
        base: The release that it started from.
        release: The release that readers see after it.
        message: One line for people.
        config: The configuration, without secrets.
        code: Version and commit of Tidemark.
        libraries: Versions of the libraries that results depend on.
        data: Versions of sources and tables.
        model: Identity of the encoder's space.
        counts: Documents and chunks.
        seconds: Seconds a stage, and `total`.
    """

    trigger: str
    token: int
    base: int | None
    release: int | None
    message: str
    config: Mapping[str, Any]
    code: Mapping[str, str]
    libraries: Mapping[str, str]
    data: dict[str, Any]
    model: Mapping[str, Any]
    counts: Mapping[str, int]
    seconds: Mapping[str, float]


class Runs:
    """The `runs` table of a store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def start(self, run: str, kind: str, started: datetime | None = None, **facts: Unpack[Facts]) -> None:
        """Record that a run began, under the lease; one that is killed keeps `running` in its row until the next."""
        host = f"{socket.gethostname()}:{os.getpid()}"
        began = started or datetime.now(UTC)
        row = {"run": run, "kind": kind, "outcome": Outcome.RUNNING, "started": began, "host": host}
        # There is nothing that it could replace, and an append costs a third of a merge. Only here, under the lease:
        # whoever appends in a hurry (`record`) would be in time before every merge of the others, which never end then.
        rows = pa.Table.from_pylist([_packed(row, facts)], schema=RUNS)
        self.store.append(_TABLE, RUNS, rows.to_batches())

    def finish(self, run: str, outcome: Outcome, **facts: Unpack[Facts]) -> None:
        """Record how a run ended that was started."""
        row = self._rows([run])[run] | _ended(outcome)
        self.store.upsert(_TABLE, RUNS, "run", [_packed(row, facts)])

    def record(self, run: str, kind: str, outcome: Outcome, started: datetime, **facts: Unpack[Facts]) -> None:
        """Record a run that is over, in one write: a kill cannot leave it running for good."""
        host = f"{socket.gethostname()}:{os.getpid()}"
        row = {"run": run, "kind": kind, "started": started, "host": host} | _ended(outcome)
        self.store.upsert(_TABLE, RUNS, "run", [_packed(row, facts)])

    def interrupt(self) -> list[str]:
        """Mark runs that never ended as interrupted; only the holder of the lease may say so.

        Returns:
            Their ids.
        """
        rows = self._broken_off()
        if rows:
            self.store.upsert(_TABLE, RUNS, "run", list(rows.values()))
        # Inserted where absent, never over another: a rollback that lives after all has the last word on itself.
        _, silent = self._known()
        inserted = [run for run, row in silent.items() if self.store.insert_new(_TABLE, RUNS, "run", row)]
        return [*rows, *inserted]

    def all(
        self,
        limit: int | None = None,
        *,
        columns: Sequence[str] = RUNS.names,
        outcomes: Collection[str] | None = None,
    ) -> list[dict[str, Any]]:
        """The runs, newest first; one whose process is gone is told as interrupted before the next run marks it.

        Args:
            limit: How many, at most; all if None.
            columns: What of them; only that is read and decoded.
            outcomes: Those that the store records with one of these outcomes; all if None.
        """
        newest, silent = self._known(_GRACE)
        chosen = newest
        if outcomes is not None:
            chosen = chosen.filter(pc.is_in(chosen["outcome"], pa.array(outcomes, pa.string())))
        chosen = chosen if limit is None else chosen.slice(0, limit)
        some = [str(run) for run in chosen["run"].to_pylist()] if len(chosen) < len(newest) else None
        rows = silent | self._rows(some, [name for name in RUNS.names if name in {*columns, "run"}])
        running = Outcome.RUNNING in chosen["outcome"].to_pylist()
        told = self._broken_off() if running else {}
        rows |= {run: {name: row[name] for name in rows[run]} for run, row in told.items() if run in rows}
        return [_unpacked(rows[run], columns) for run in chosen["run"].to_pylist() if run in rows]

    def find(self, run: str) -> dict[str, Any] | None:
        """One run, or None."""
        rows = self._rows([run])
        if any(row["outcome"] == Outcome.RUNNING for row in rows.values()):
            rows |= {name: row for name, row in self._broken_off().items() if name == run}
        if run not in rows:
            rows |= self._known(_GRACE)[1]
        return _unpacked(rows[run]) if run in rows else None

    def get(self, run: str) -> dict[str, Any]:
        """One run, by its id or by the beginning that no other run's id has.

        Raises:
            InputError: There is no such run, or several begin so.
        """
        found = self.find(run)
        if found is None:
            alike = [name for name in map(str, self._known(_GRACE)[0]["run"].to_pylist()) if name.startswith(run)]
            whole = one_of(run, alike, "run")
            found = None if whole is None else self.find(whole)
        if found is None:
            raise InputError(f"{self.store.uri}: there is no run {run!r}; `tidemark runs` lists them")
        return found

    def _recorded(self) -> pa.Table:
        """Run, kind, outcome and start of all that have a row: little of each, so that many are found quickly."""
        table = self.store.find(_TABLE)
        return _FOUND_BY.empty_table() if table is None else read(table, RUNS, _FOUND_BY.names).cast(_FOUND_BY)

    def _known(self, grace: timedelta = timedelta()) -> tuple[pa.Table, dict[str, dict[str, Any]]]:
        """What `_recorded` gives, newest first and with the rollbacks that no row tells of; and the rows of these.

        A rollback holds no lease and records itself when it is over, so that its release may be all that there is: then
        it was killed after it had published.

        Args:
            grace: How long ago it published, at least: one that lives needs a moment from there to its record.
        """
        try:
            published = Releases(self.store).rollbacks()  # before the look at the runs: one that ends then has a row
        except faults():  # the record of runs is read where that of the releases is damaged
            published = {}
        recorded = self._recorded()
        told = set(recorded["run"].to_pylist())
        until = datetime.now(UTC) - grace
        silent = {
            run: _died(run, release, when)
            for run, (release, when) in published.items()
            if told and run not in told and when <= until
        }
        others = pa.Table.from_pylist(list(silent.values()), schema=_FOUND_BY)
        return pa.concat_tables([recorded, others]).sort_by(_ORDER), silent

    def _rows(self, runs: Collection[str] | None = None, columns: list[str] | None = None) -> dict[str, dict[str, Any]]:
        """Run to row, of some or of all."""
        table = self.store.find(_TABLE)
        if table is None:
            return {}
        rows = read(table, RUNS, columns) if runs is None else pick(table, RUNS, "run", runs, columns)
        return {row["run"]: row for row in rows.to_pylist()}

    def _claims(self) -> list[str]:
        """The refreshes that say that they run."""
        running = self._recorded()
        running = running.filter(pc.equal(running["outcome"], pa.scalar(Outcome.RUNNING.value)))
        return [str(run) for run in running["run"].to_pylist()]

    def _broken_off(self) -> dict[str, dict[str, Any]]:
        """The runs that claim to run but hold no lease, as they are to be told.

        A run writes its start after it took the lease, and its end before it gives the lease back: one that claims to
        run before and after a look at the lease, and does not hold it, is dead.
        """
        claims = self._claims()
        if not claims:
            return {}
        living, signs = holder(self.store), signs_of_life(self.store)
        dead = self._rows([run for run in self._claims() if run in claims and run != living])
        # A run may end between the two looks.
        dead = {run: row for run, row in dead.items() if row["outcome"] == Outcome.RUNNING}
        published = Releases(self.store).made_by(dead) if dead else {}
        for run, row in dead.items():
            release = published.get(run)
            message = BROKEN_OFF if release is None else f"release {release} is published; after that {BROKEN_OFF}"
            finished = max(row["started"], signs.get(run, row["started"]))  # the first sign comes before the row
            row |= {"outcome": Outcome.INTERRUPTED, "finished": finished, "release": release, "message": message}
        return dead


def _ended(outcome: Outcome) -> dict[str, Any]:
    return {"outcome": outcome, "finished": datetime.now(UTC)}


def _died(run: str, release: int, when: datetime) -> dict[str, Any]:
    """The row of a rollback of which only the release is known."""
    row = {"run": run, "kind": "rollback", "outcome": Outcome.INTERRUPTED, "started": when, "finished": when}
    return _packed(row, {"release": release, "message": f"release {release} is published; after that {_DIED}"})


def _packed(row: dict[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    full = dict.fromkeys(RUNS.names) | row
    for name, value in facts.items():
        if name in PACKED:
            full[name] = json.dumps(value, sort_keys=True, default=str)
        elif name in _PLAIN:
            full[name] = value
        else:
            raise TypeError(f"a run has no field {name!r}")
    return full


def _unpacked(row: Mapping[str, Any], columns: Sequence[str] = RUNS.names) -> dict[str, Any]:
    record = f"the record of run {row.get('run')}"
    return {name: unpacked(record, row[name], row[name]) if name in PACKED else row[name] for name in columns}
