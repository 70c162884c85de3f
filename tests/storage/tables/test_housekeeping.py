"""Record tables stay small, and nobody who reads or records meanwhile is disturbed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pyarrow as pa
import pytest
from drafts import drafted
from killing import Child, Orders

from storage.tables import housekeeping as module
from storage.tables.format import migrate
from storage.tables.housekeeping import keep_small
from storage.tables.lease import Lease, holder
from storage.tables.releases import Releases
from storage.tables.runs import Runs, new_run
from storage.tables.store import Store

AT_ONCE = {"storage.tables.housekeeping:_YOUNG": timedelta(0), "storage.tables.housekeeping:_VERSIONS": 8}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@contextmanager
def frame(store: Store, outcome: str = "unchanged") -> Iterator[str]:
    """What every refresh records of itself."""
    run = new_run()
    with Lease(store, run) as lease:
        migrate(store)
        runs = Runs(store)
        runs.interrupt()
        runs.start(run, "refresh", trigger="cron", token=lease.token, config={"store": {"uri": store.uri}})
        yield run
        runs.finish(run, outcome, message="nothing changed", counts={"documents": 3}, seconds={"total": 0.1})
        keep_small(store)


def nights(store: Store, count: int) -> list[str]:
    made = []
    for _ in range(count):
        with frame(store) as run:
            made.append(run)
    return made


def files(store: Store) -> int:
    return sum(path.is_file() for name in store.tables() for path in Path(store.path(name)).rglob("*"))


def size(store: Store, name: str) -> tuple[int, int]:
    """Fragments and versions of a table."""
    table = store.open(name)
    return len(table.get_fragments()), len(table.versions())


def test_hundreds_of_nights_leave_few_files_and_every_record(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_YOUNG", timedelta(0))
    made = nights(store, 60)
    early = files(store)
    made += nights(store, 90)
    for name in ("runs", "leases"):
        fragments, versions = size(store, name)
        assert fragments <= module._FRAGMENTS + 2
        assert versions <= module._VERSIONS + 8
    assert files(store) <= 1.5 * max(early, 150)
    assert [row["run"] for row in Runs(store).all()] == made[::-1]
    assert {row["outcome"] for row in Runs(store).all(columns=("outcome",))} == {"unchanged"}
    tokens = sorted(row["token"] for row in store.open("leases").to_table().to_pylist())
    assert tokens[-1] == 150
    assert len(tokens) <= module._LEASES + 2 * module._FRAGMENTS
    with Lease(store, "next") as lease:
        assert lease.token == 151


def test_young_versions_stay_for_who_still_reads_them(store: Store) -> None:
    made = nights(store, 3)
    held = store.open("runs")
    nights(store, 40)
    assert len(store.open("runs").get_fragments()) <= module._FRAGMENTS + 2
    assert [row["run"] for row in held.to_table().to_pylist()] == made


def test_an_ordinary_night_writes_nothing_more(store: Store) -> None:
    nights(store, 1)
    versions = {name: store.open(name).version for name in store.tables()}
    keep_small(store)
    assert {name: store.open(name).version for name in store.tables()} == versions


def test_a_large_past_is_not_written_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROWS", 100)
    nights(store, 1)
    runs = store.open("runs")
    row = runs.to_table().to_pylist()[0]
    past = [row | {"run": new_run(datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=day))} for day in range(250)]
    for at in range(0, 250, 10):
        runs.insert(pa.Table.from_pylist(past[at : at + 10], schema=runs.schema))
    keep_small(store)
    full = {fragment.fragment_id for fragment in store.open("runs").get_fragments() if fragment.count_rows() >= 100}
    assert len(full) == 2
    nights(store, 40)
    assert full <= {fragment.fragment_id for fragment in store.open("runs").get_fragments()}


def test_the_holder_keeps_its_lease_whatever_its_token(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LEASES", 1)
    monkeypatch.setattr(module, "_VERSIONS", 0)
    nights(store, 5)
    with Lease(store, "held") as lease:
        keep_small(store)
        assert holder(store) == "held"
        lease.check()
    assert [row["token"] for row in store.open("leases").to_table().to_pylist()] == [6]


def test_who_reads_and_records_meanwhile_never_errs(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FRAGMENTS", 2)
    monkeypatch.setattr(module, "_VERSIONS", 6)
    nights(store, 2)
    table = store.append("t", pa.schema([("n", pa.int64())]), [pa.record_batch({"n": [1]})])
    Releases(store).publish(0, drafted({"t": table.version}))
    done = Event()

    def look() -> int:
        polls = 0
        while not done.is_set():
            runs = Runs(store)
            newest = runs.all(1)[0]
            assert runs.find(newest["run"]) is not None
            assert Releases(store).get().seq == 1
            holder(store)
            polls += 1
        return polls

    def record() -> int:
        made = 0
        while not done.is_set():
            Runs(store).record(new_run(), "audit", "published", datetime.now(UTC), message="12 checks hold")
            made += 1
        return made

    with ThreadPoolExecutor(3) as pool:
        looking, recording = [pool.submit(look) for _ in range(2)], pool.submit(record)
        try:
            nights(store, 15)
        finally:
            done.set()
        assert min(each.result() for each in looking) > 0
        assert recording.result() > 0
    kinds = [row["kind"] for row in Runs(store).all(columns=("kind",))]
    assert (kinds.count("refresh"), kinds.count("audit")) == (17, recording.result())


def kept(uri: str) -> None:
    """The work of a child: housekeeping under the lease."""
    store = Store(uri)
    with Lease(store, "keeper"):
        keep_small(store)


def records(store: Store) -> tuple[Any, ...]:
    leases = store.open("leases").to_table().to_pylist()
    return Runs(store).all(), max(row["token"] for row in leases if row["run"] != "keeper")


def test_housekeeping_that_is_killed_loses_nothing(store: Store, tmp_path: Path) -> None:
    for _ in range(6):
        run = new_run()
        with Lease(store, run):
            Runs(store).start(run, "refresh")
            Runs(store).finish(run, "unchanged")
    before = records(store)

    def case(name: str, at: int | None = None) -> tuple[Store, tuple[str, ...]]:
        """Housekeeping in a copy of the store, killed at a moment; gives the moments of one that is not."""
        copy = Store(tmp_path / name)
        if not Path(copy.uri).exists():
            shutil.copytree(store.uri, copy.uri)
        with Child(kept, copy.uri, orders=Orders(at, values=AT_ONCE)) as child:
            end = child.end()
        assert end.killed if at is not None else end.failure is None
        return copy, end.moments

    _, moments = case("whole")
    steps = [at for at, one in enumerate(moments) if any(name in one for name in ("compact", "cleanup", "config"))]
    assert len(steps) >= 12
    for at in steps:
        killed, _ = case(f"at-{at}", at)
        assert records(killed) == before
        again, _ = case(f"at-{at}")
        assert records(again) == before
        assert len(again.open("runs").get_fragments()) <= 2


def test_a_table_that_cannot_be_tidied_is_left_to_the_next_night(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_VERSIONS", 0)
    nights(store, 2)
    table = store.open("runs")

    def preempted(*_: object) -> int:
        raise OSError("Retryable commit conflict for version 7")

    monkeypatch.setattr(Store, "vacuum", preempted)
    keep_small(store)
    assert store.open("runs").count_rows() == table.count_rows() == 2
