"""Signs of life while the holder's own thread gives none."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from storage import heartbeat
from storage.heartbeat import Understudy
from storage.tables import lease as module
from storage.tables.lease import Lease, renew
from storage.tables.store import Store

BEAT = 0.2
PATIENCE = 120.0  # seconds; loading the store takes several on a busy machine
ROOT = Path(__file__).parents[2]
HOLD = """
import os, sys, time
from storage.tables import lease as module
from storage.tables.lease import Lease
from storage.tables.store import Store
module._RENEW = float(sys.argv[2])
lease = Lease(Store(sys.argv[1]), "run").__enter__()
print(lease._understudy._process.pid, flush=True)
if sys.argv[3] == "deaf":
    lease._stop.set()
time.sleep(600)
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def rows(store: Store) -> list[dict[str, Any]]:
    found = store.open("leases").to_table().to_pylist()
    return sorted(found, key=lambda row: int(row["token"]))


def holder(store: Store, how: str) -> tuple[subprocess.Popen[bytes], psutil.Process]:
    """A process that holds the lease, `deaf` with a thread that renews nothing; and its understudy."""
    command = [sys.executable, "-c", HOLD, store.uri, str(BEAT), how]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    return process, psutil.Process(int(process.stdout.readline()))


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def ended(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def signs(store: Store) -> set[datetime]:
    """Every sign of life that the lease's table remembers."""
    versions = store.open("leases").versions()
    return {
        row["renewed"] for found in versions for row in store.open("leases", found["version"]).to_table().to_pylist()
    }


def test_a_holder_whose_interpreter_is_locked_gives_signs_of_life(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_RENEW", BEAT)
    with Lease(store, "run") as lease:
        deadline = time.monotonic() + PATIENCE
        inside: list[datetime] = []
        while not inside:
            assert time.monotonic() < deadline
            begun = datetime.now(UTC)
            ctypes.PyDLL(None).usleep(8_000_000)  # keeps the lock, as a C function may
            ended = datetime.now(UTC)
            inside = [at for at in signs(store) if begun + timedelta(seconds=0.5) < at < ended]
        lease.check()
    assert [(row["token"], row["released"]) for row in rows(store)] == [(1, True)]


def test_the_understudy_of_who_is_heard_of_loads_nothing(tmp_path: Path) -> None:
    understudy = Understudy("storage.tables.lease", str(tmp_path / "nowhere"), 1, 1.0)
    assert understudy._process is not None
    process = psutil.Process(understudy._process.pid)
    for _ in range(25):
        time.sleep(0.2)
        understudy.tell()
    assert not any("lance" in file.path for file in process.memory_maps())
    until(lambda: ended(process))  # silence: it looks for the lease, and finds none
    understudy.dismiss()


def test_the_understudy_is_gone_before_the_lease_is_given_back(store: Store) -> None:
    before = {child.pid for child in psutil.Process().children()}
    with Lease(store, "run"):
        assert len({child.pid for child in psutil.Process().children()} - before) == 1
    assert {child.pid for child in psutil.Process().children()} == before


def test_the_understudy_speaks_for_a_silent_thread_and_ends_with_its_process(store: Store) -> None:
    process, understudy = holder(store, "deaf")
    with process:
        renewed = rows(store)[0]["renewed"]
        until(lambda: bool(rows(store)[0]["renewed"] > renewed))
        process.kill()
    until(lambda: ended(understudy))
    assert [row["released"] for row in rows(store)] == [False]


def test_nobody_speaks_for_a_stopped_holder(store: Store) -> None:
    process, understudy = holder(store, "deaf")
    with process:
        renewed = rows(store)[0]["renewed"]
        until(lambda: bool(rows(store)[0]["renewed"] > renewed))  # it is loaded: from now on it takes no time
        process.send_signal(signal.SIGSTOP)
        time.sleep(3 * BEAT)
        renewed = rows(store)[0]["renewed"]
        time.sleep(10 * BEAT)
        assert rows(store)[0]["renewed"] == renewed
        process.send_signal(signal.SIGCONT)
        until(lambda: bool(rows(store)[0]["renewed"] > renewed))
        process.kill()
    until(lambda: ended(understudy))


def test_the_understudy_renews_no_lease_that_another_run_took(store: Store) -> None:
    process, understudy = holder(store, "deaf")
    with process:
        taken = rows(store)[0] | {"token": 2, "run": "quick", "pid": 1}
        assert store.insert_new("leases", module.LEASES, "token", taken)
        until(lambda: ended(understudy))
        assert rows(store)[1] == taken
        process.kill()


def test_renewing_is_for_the_newest_token_that_is_held(store: Store) -> None:
    uri = store.uri
    assert not renew(uri, 1)
    with Lease(store, "run"):
        renewed = rows(store)[0]["renewed"]
        assert renew(uri, 1) and not renew(uri, 2)
        assert rows(store)[0]["renewed"] > renewed
    released = rows(store)
    assert not renew(uri, 1)
    assert rows(store) == released


def test_the_understudy_sees_neither_the_terminal_nor_a_secret(store: Store) -> None:
    secret = "s3://me:hunter2@bucket/store"
    understudy = Understudy("storage.tables.lease", secret, 1, 15.0)
    assert understudy._process is not None
    process = psutil.Process(understudy._process.pid)
    assert os.getsid(process.pid) == process.pid != os.getsid(0)
    assert "hunter2" not in " ".join(process.cmdline())
    until(lambda: process.open_files() == [])  # what it imports is open for a moment
    understudy.dismiss()
    understudy.dismiss()
    understudy.tell()


def test_a_lease_goes_without_an_understudy_that_does_not_start(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(heartbeat.sys, "executable", "/nowhere/python")
    with caplog.at_level(logging.WARNING, "storage.heartbeat"), Lease(store, "run") as lease:
        lease.check()
    assert "no process stands in for the lease's signs of life" in caplog.text
    assert [row["released"] for row in rows(store)] == [True]


def test_an_understudy_that_died_costs_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RENEW", BEAT)
    with Lease(store, "run") as lease:
        assert lease._understudy is not None and lease._understudy._process is not None
        lease._understudy._process.kill()
        renewed = rows(store)[0]["renewed"]
        until(lambda: bool(rows(store)[0]["renewed"] > renewed))
        time.sleep(2 * BEAT)
    assert [row["released"] for row in rows(store)] == [True]
