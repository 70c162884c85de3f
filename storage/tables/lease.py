"""The writer's lease: one run at a time, with a fencing token, held in the store itself."""

from __future__ import annotations

import os
import platform
import socket
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc

from storage.errors import LeaseHeld
from storage.heartbeat import Understudy
from storage.tables.columns import TIME, key_field, strings
from storage.tables.store import Store, read

__all__ = ["LEASES", "Lease", "holder", "renew", "signs_of_life"]

_TABLE = "leases"
_RENEW = 15.0  # seconds between signs of life
_EXPIRY = timedelta(seconds=90)  # six missed ones: a holder on another machine is taken for dead

LEASES = pa.schema(
    [
        key_field("token", pa.int64()),
        *strings("holder", "machine", "host", "run"),
        pa.field("pid", pa.int64()),
        pa.field("pid_started", pa.string()),
        pa.field("acquired", TIME),
        pa.field("renewed", TIME),
        pa.field("released", pa.bool_()),
    ]
)


class Lease:
    """Exclusive right to write a store, taken by inserting the next token.

    A holder that died on this machine is noticed at once (its process is gone); one on another machine once its signs
    of life stop for 90 seconds. A thread gives them, and where it cannot run, a process that listens to it
    (`storage.heartbeat`); a holder that was stopped (SIGSTOP) gives none. A writer that slept through its expiry finds
    a higher token when it checks before it publishes, and stops (fencing, Kleppmann 2016, "How to do distributed
    locking").

    Args:
        store: The store to hold.
        run: The run that holds it, named to whoever is refused.
    """

    def __init__(self, store: Store, run: str) -> None:
        self.store = store
        self.run = run
        self.token = 0
        self._stop = threading.Event()
        self._beat: threading.Thread | None = None
        self._understudy: Understudy | None = None
        self._row: dict[str, Any] = {}

    def __enter__(self) -> Self:
        """Take the lease.

        Raises:
            LeaseHeld: A living run holds it; says which and since when.
        """
        for _ in range(10):
            last = _newest(self.store)
            if last is not None and _holds(last):
                raise LeaseHeld(_held(self.store.uri, last))
            now = datetime.now(UTC)
            token = 1 if last is None else int(last["token"]) + 1
            self._row = {
                "token": token,
                "holder": f"{socket.gethostname()}:{os.getpid()}",
                "machine": _machine(),
                "host": socket.gethostname(),
                "run": self.run,
                "pid": os.getpid(),
                "pid_started": _started(os.getpid()),
                "acquired": now,
                "renewed": now,
                "released": False,
            }
            if self.store.insert_new(_TABLE, LEASES, "token", self._row):
                self.token = token
                self._understudy = Understudy(__name__, self.store.uri, token, _RENEW)
                self._beat = threading.Thread(target=self._renew, name="tidemark-lease", daemon=True)
                self._beat.start()
                return self
        raise LeaseHeld(f"{self.store.uri}: other runs keep taking the lease; try again")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the lease back."""
        self._stop.set()
        if self._beat is not None:
            self._beat.join()
        if self._understudy is not None:
            # Before the lease is given back: a late sign of life would take that back.
            self._understudy.dismiss()
        with suppress(OSError):  # the store went away: the lease expires by itself
            self._write(released=True)

    def check(self) -> None:
        """Make sure that no other run took over meanwhile; called before each publish.

        Raises:
            LeaseHeld: A newer token exists.
        """
        last = _newest(self.store)
        if last is not None and int(last["token"]) != self.token:
            raise LeaseHeld(
                f"run {self.run} lost its lease on {self.store.uri} to run {last['run']} on {last['host']}: it was "
                "silent for too long. Nothing was published; the other run goes on."
            )

    def _renew(self) -> None:
        while not self._stop.wait(_RENEW):
            with suppress(OSError):  # one missed sign of life is no reason to end a run
                self._write(released=False)
            if self._understudy is not None:
                self._understudy.tell()

    def _write(self, *, released: bool) -> None:
        self._row |= {"renewed": datetime.now(UTC), "released": released}
        self.store.upsert(_TABLE, LEASES, "token", [self._row])


def holder(store: Store) -> str | None:
    """The run that holds the lease and lives."""
    last = _newest(store)
    return str(last["run"]) if last is not None and _holds(last) else None


def renew(uri: str, token: int) -> bool:
    """Give a sign of life for the holder of a token; tells whether the lease is still its own.

    Args:
        uri: The store.
        token: The holder's.
    """
    store = Store(uri)
    last = _newest(store)
    if last is None or int(last["token"]) != token or last["released"]:
        return False
    store.upsert(_TABLE, LEASES, "token", [last | {"renewed": datetime.now(UTC)}])
    return True


def signs_of_life(store: Store) -> dict[str, datetime]:
    """Run to the time at which it last showed that it lives."""
    table = store.find(_TABLE)
    rows = [] if table is None else read(table, LEASES, ["run", "renewed"]).to_pylist()
    return {str(row["run"]): row["renewed"] for row in rows}


def _newest(store: Store) -> dict[str, Any] | None:
    """The row of the highest token: whoever has a lower one was taken over, whatever its row says."""
    table = store.find(_TABLE)
    rows = None if table is None else read(table, LEASES)  # a few dozen, since old ones are let go
    if rows is None or not len(rows):
        return None
    at = pc.index(rows["token"], pc.max(rows["token"])).as_py()
    return dict(rows.slice(at, 1).to_pylist()[0])


def _held(uri: str, row: dict[str, Any]) -> str:
    since = f"{row['acquired']:%Y-%m-%d %H:%M:%S} UTC"
    return (
        f"{uri} is held by run {row['run']} (process {row['pid']} on {row['host']}) since {since}. "
        "Wait for it to end, or stop that process; readers are not affected."
    )


def _holds(row: dict[str, Any]) -> bool:
    return not row["released"] and _alive(row)


def _alive(row: dict[str, Any]) -> bool:
    if row["machine"] == _machine():
        return bool(_started(int(row["pid"])) == row["pid_started"])
    return bool(datetime.now(UTC) - row["renewed"] < _EXPIRY)


def _machine() -> str:
    """Names this boot of this machine and this process namespace: process ids mean something only inside it."""
    parts = [socket.gethostname(), platform.node()]
    for path in ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"):
        with suppress(OSError):
            file = Path(path)
            parts.append(str(file.readlink()) if file.is_symlink() else file.read_text().strip())
    return "|".join(parts)


def _started(pid: int) -> str:
    """When a process started, so that a reused process id is not taken for the holder; empty when it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        fields = stat.rpartition(")")[2].split()
        return "" if fields[0] in {"Z", "X"} else fields[19]
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return ""
    try:  # no /proc (macOS): the process id alone has to do
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        return "alive"
    return "alive"
