"""The record of every run: what went in, what came out, and why it ended as it did."""

from __future__ import annotations

import json
import os
import secrets
import socket
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypedDict, Unpack

from storage.errors import InputError
from storage.outcome import Outcome
from storage.tables.columns import RUNS
from storage.tables.lease import holder, signs_of_life
from storage.tables.releases import Releases
from storage.tables.store import Store

__all__ = ["Facts", "Runs", "new_run"]

_TABLE = "runs"
_JSON = ("config", "code", "libraries", "data", "model", "counts", "seconds")
_PLAIN = ("trigger", "token", "base", "release", "message")
_CLAIM = f"outcome = '{Outcome.RUNNING}'"
_BROKEN_OFF = "the process ended without a word (killed, or the machine went down); the next run goes on"


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

    def start(self, run: str, kind: str, **facts: Unpack[Facts]) -> None:
        """Record that a run began, under the lease; one that is killed keeps `running` in its row until the next."""
        host = f"{socket.gethostname()}:{os.getpid()}"
        row = {"run": run, "kind": kind, "outcome": Outcome.RUNNING, "started": datetime.now(UTC), "host": host}
        self.store.upsert(_TABLE, RUNS, "run", [_packed(row, facts)])

    def finish(self, run: str, outcome: Outcome, **facts: Unpack[Facts]) -> None:
        """Record how a run ended that was started."""
        row = self._rows()[run] | {"outcome": outcome, "finished": datetime.now(UTC)}
        self.store.upsert(_TABLE, RUNS, "run", [_packed(row, facts)])

    def record(self, run: str, kind: str, outcome: Outcome, started: datetime, **facts: Unpack[Facts]) -> None:
        """Record a run that is over, in one write: a kill cannot leave it running for good."""
        host = f"{socket.gethostname()}:{os.getpid()}"
        row = {"run": run, "kind": kind, "outcome": outcome, "started": started, "finished": datetime.now(UTC)}
        self.store.upsert(_TABLE, RUNS, "run", [_packed(row | {"host": host}, facts)])

    def interrupt(self) -> list[str]:
        """Mark runs that never ended as interrupted; only the holder of the lease may say so.

        Returns:
            Their ids.
        """
        rows = self._broken_off()
        if rows:
            self.store.upsert(_TABLE, RUNS, "run", list(rows.values()))
        return list(rows)

    def all(self) -> list[dict[str, Any]]:
        """All runs, newest first; one whose process is gone is told as interrupted before the next run marks it."""
        rows = self._rows()
        if any(row["outcome"] == Outcome.RUNNING for row in rows.values()):
            rows |= self._broken_off()
        return [_unpacked(row) for row in sorted(rows.values(), key=_age, reverse=True)]

    def get(self, run: str) -> dict[str, Any]:
        """One run.

        Raises:
            InputError: There is no such run.
        """
        for row in self.all():
            if row["run"] == run:
                return row
        raise InputError(f"{self.store.uri}: there is no run {run!r}; `tidemark runs` lists them")

    def _rows(self, where: str | None = None) -> dict[str, dict[str, Any]]:
        """Run to row."""
        table = self.store.find(_TABLE)
        return {} if table is None else {row["run"]: row for row in table.to_table(filter=where).to_pylist()}

    def _broken_off(self) -> dict[str, dict[str, Any]]:
        """The runs that claim to run but hold no lease, as they are to be told.

        A run writes its start after it took the lease, and its end before it gives the lease back: one that claims to
        run before and after a look at the lease, and does not hold it, is dead.
        """
        claims = self._rows(_CLAIM)
        if not claims:
            return {}
        living, signs = holder(self.store), signs_of_life(self.store)
        dead = {run: row for run, row in self._rows(_CLAIM).items() if run in claims and run != living}
        published = {release.run: release.seq for release in Releases(self.store).all()} if dead else {}
        for run, row in dead.items():
            release = published.get(run)
            message = _BROKEN_OFF if release is None else f"release {release} is published; after that {_BROKEN_OFF}"
            finished = max(row["started"], signs.get(run, row["started"]))  # the first sign comes before the row
            row |= {"outcome": Outcome.INTERRUPTED, "finished": finished, "release": release, "message": message}
        return dead


def _age(row: Mapping[str, Any]) -> tuple[datetime, str]:
    return row["started"], row["run"]


def _packed(row: dict[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    full = dict.fromkeys(RUNS.names) | row
    for name, value in facts.items():
        if name in _JSON:
            full[name] = json.dumps(value, sort_keys=True, default=str)
        elif name in _PLAIN:
            full[name] = value
        else:
            raise TypeError(f"a run has no field {name!r}")
    return full


def _unpacked(row: dict[str, Any]) -> dict[str, Any]:
    return {name: json.loads(value) if name in _JSON and value else value for name, value in row.items()}
