"""The lease: one writer, whatever happened to the one before."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from storage.errors import LeaseHeld, Unreachable
from storage.tables import lease as module
from storage.tables.lease import LEASES, Lease
from storage.tables.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def table(store: Store) -> list[dict[str, Any]]:
    return sorted(store.open("leases").to_table().to_pylist(), key=lambda row: row["token"])


def leave(store: Store, **facts: Any) -> None:
    """Write the lease of another process."""
    now = datetime.now(UTC)
    row = {
        "token": 1,
        "holder": "x:1",
        "machine": "elsewhere",
        "host": "x",
        "run": "other",
        "pid": 1,
        "pid_started": "1",
    }
    times = {"acquired": now, "renewed": now, "released": False}
    assert store.insert_new("leases", LEASES, "token", row | times | facts)


def test_a_lease_names_its_holder_and_is_given_back(store: Store) -> None:
    with Lease(store, "first") as lease:
        [held] = table(store)
        lease.check()
    [freed] = table(store)
    assert (held["token"], held["run"], held["pid"], held["released"]) == (1, "first", os.getpid(), False)
    assert freed["released"] and freed["renewed"] >= held["renewed"] == held["acquired"]


def test_tokens_rise(store: Store) -> None:
    for token in (1, 2, 3):
        with Lease(store, "run") as lease:
            assert lease.token == token
    assert [row["token"] for row in table(store)] == [1, 2, 3]


def test_who_comes_second_is_told_who_holds_it_and_since_when(store: Store) -> None:
    with Lease(store, "first"), pytest.raises(LeaseHeld) as refused, Lease(store, "second"):
        pass
    [row] = table(store)
    since = f"{row['acquired']:%Y-%m-%d %H:%M:%S} UTC"
    assert f"is held by run first (process {os.getpid()} on {row['host']}) since {since}" in str(refused.value)


def test_a_failure_inside_gives_it_back(store: Store) -> None:
    with pytest.raises(KeyError), Lease(store, "first"):
        raise KeyError
    assert [row["released"] for row in table(store)] == [True]


def test_a_holder_whose_process_is_gone_is_taken_over_at_once(store: Store) -> None:
    script = (
        "import os, sys; from storage.tables.lease import Lease; from storage.tables.store import Store\n"
        "Lease(Store(sys.argv[1]), 'killed').__enter__(); os._exit(9)"
    )
    root = Path(__file__).parents[3]
    subprocess.run([sys.executable, "-c", script, store.uri], cwd=root, check=False, timeout=60)
    assert [(row["run"], row["released"]) for row in table(store)] == [("killed", False)]
    with Lease(store, "next") as lease:
        assert lease.token == 2


def test_a_reused_process_id_is_not_taken_for_the_holder(store: Store) -> None:
    leave(store, machine=module._machine(), pid=os.getpid(), pid_started="an earlier process")
    with Lease(store, "next") as lease:
        assert lease.token == 2


def test_a_holder_on_another_machine_is_believed_for_90_seconds(store: Store) -> None:
    now = datetime.now(UTC)
    leave(store, renewed=now - timedelta(seconds=80))
    with pytest.raises(LeaseHeld, match="run other"), Lease(store, "next"):
        pass
    store.drop("leases")
    leave(store, renewed=now - timedelta(seconds=100))
    with Lease(store, "next") as lease:
        assert lease.token == 2


def test_a_writer_that_was_taken_over_finds_out_before_it_publishes(store: Store) -> None:
    with Lease(store, "slow") as lease:
        leave(store, token=2, run="quick")
        with pytest.raises(LeaseHeld, match=r"run slow lost its lease .* to run quick on x"):
            lease.check()
    assert [(row["run"], row["released"]) for row in table(store)] == [("slow", True), ("quick", False)]


def test_a_lease_gives_signs_of_life(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RENEW", 0.02)
    with Lease(store, "run"):
        acquired = table(store)[0]["acquired"]
        deadline = datetime.now(UTC) + timedelta(seconds=20)
        while table(store)[0]["renewed"] == acquired:
            assert datetime.now(UTC) < deadline


def test_a_store_that_does_not_answer_for_a_moment_costs_one_sign_of_life(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_RENEW", 0.02)
    upsert, missed = Store.upsert, threading.Event()

    def flaky(*arguments: Any, **named: Any) -> dict[str, int]:
        if not missed.is_set():
            missed.set()
            raise Unreachable("s3://bucket: the object store does not answer")
        return upsert(*arguments, **named)

    with Lease(store, "run"):
        acquired = table(store)[0]["acquired"]
        monkeypatch.setattr(Store, "upsert", flaky)
        assert missed.wait(20)
        deadline = datetime.now(UTC) + timedelta(seconds=20)
        while table(store)[0]["renewed"] == acquired:
            assert datetime.now(UTC) < deadline


def test_a_process_that_is_gone_has_no_start() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    assert module._started(os.getpid()) == module._started(os.getpid()) != ""
    child.wait()
    assert module._started(child.pid) == ""


def test_a_process_that_is_dead_but_not_buried_has_no_start() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert module._started(child.pid) == ""
    child.wait()
