"""The record of every run: what went in, what came out, and why it ended as it did."""

from __future__ import annotations

import json
import os
import secrets
import socket
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from storage.errors import InputError
from storage.schemas import RUNS
from storage.store import Store

__all__ = ["Runs", "new_run"]

_TABLE = "runs"
_JSON = ("config", "code", "libraries", "data", "model", "counts", "seconds")
_PLAIN = ("trigger", "token", "base", "release", "message")


def new_run(now: datetime | None = None) -> str:
    """A run id that sorts by time: `20260131-235959-a1b2c3`."""
    return f"{now or datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


class Runs:
    """The `runs` table of a store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def start(self, run: str, kind: str, **facts: Any) -> None:
        """Record that a run began; a run that is killed keeps the outcome `running` until the next one looks."""
        host = f"{socket.gethostname()}:{os.getpid()}"
        row = {"run": run, "kind": kind, "outcome": "running", "started": datetime.now(UTC), "host": host}
        self.store.upsert(_TABLE, RUNS, "run", [_packed(row, facts)])

    def finish(self, run: str, outcome: str, **facts: Any) -> None:
        """Record how a run ended."""
        row = self._raw(run) | {"outcome": outcome, "finished": datetime.now(UTC)}
        self.store.upsert(_TABLE, RUNS, "run", [_packed(row, facts)])

    def record(self, run: str, kind: str, outcome: str, started: datetime, **facts: Any) -> None:
        """Record a run that is over, in one write: a kill cannot leave it running for good."""
        host = f"{socket.gethostname()}:{os.getpid()}"
        row = {"run": run, "kind": kind, "outcome": outcome, "started": started, "finished": datetime.now(UTC)}
        self.store.upsert(_TABLE, RUNS, "run", [_packed(row | {"host": host}, facts)])

    def interrupt(self, published: Mapping[str, int] | None = None) -> list[str]:
        """Mark runs that never ended as interrupted; only the holder of the lease may say so.

        Args:
            published: Run to the number of its release: a run that was killed after it had published says so.

        Returns:
            Their ids.
        """
        table = self.store.find(_TABLE)
        if table is None:
            return []
        rows = table.to_table(filter="outcome = 'running' AND kind = 'refresh'").to_pylist()
        message = "the process ended without a word (killed, or the machine went down); the next run took over"
        for row in rows:
            release = (published or {}).get(row["run"])
            row |= {"outcome": "interrupted", "finished": datetime.now(UTC), "release": release}
            row["message"] = message if release is None else f"release {release} is published; after that {message}"
        if rows:
            self.store.upsert(_TABLE, RUNS, "run", rows)
        return [str(row["run"]) for row in rows]

    def all(self) -> list[dict[str, Any]]:
        """All runs, newest first."""
        table = self.store.find(_TABLE)
        rows = [] if table is None else table.to_table().to_pylist()
        return [_unpacked(row) for row in sorted(rows, key=lambda row: (row["started"], row["run"]), reverse=True)]

    def get(self, run: str) -> dict[str, Any]:
        """One run.

        Raises:
            InputError: There is no such run.
        """
        return _unpacked(self._raw(run))

    def _raw(self, run: str) -> dict[str, Any]:
        table = self.store.find(_TABLE)
        rows = [] if table is None else [row for row in table.to_table().to_pylist() if row["run"] == run]
        if not rows:
            raise InputError(f"{self.store.uri}: there is no run {run!r}; `tidemark runs` lists them")
        return dict(rows[0])


def _packed(row: dict[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    full = dict.fromkeys(RUNS.names) | row
    for name, value in facts.items():
        if name in _JSON:
            full[name] = json.dumps(value, sort_keys=True, default=str)
        elif name in _PLAIN:
            full[name] = value
        else:
            raise ValueError(f"a run has no field {name!r}")
    return full


def _unpacked(row: dict[str, Any]) -> dict[str, Any]:
    return {name: json.loads(value) if name in _JSON and value else value for name, value in row.items()}
