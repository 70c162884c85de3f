"""Publishing under the lease, and tidying up after it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from corpus import configure, context, save
from drafts import drafted

from storage.errors import LeaseHeld, ReleaseMoved, Unreachable
from storage.registry import Registry
from storage.tables.lease import LEASES, Lease
from storage.tables.models import ModelRecord, Models
from storage.tables.releases import Draft, Release, Releases
from storage.tables.roles import EncoderRecord, Role, chunks_table
from storage.tables.store import Store
from storage.tables.vectors import vectors_table
from tasks.context import Context
from tasks.release.publish import ReleasesConfig, clean_up, publish

SCHEMA = pa.schema([("n", pa.int64())])


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Context]:
    with context(configure(tmp_path)) as made:
        yield made


def tables(store: Store, *names: str) -> dict[str, int]:
    for name in names:
        store.append(name, SCHEMA, [pa.RecordBatch.from_pylist([{"n": 1}], schema=SCHEMA)])
    return {name: store.open(name).version for name in names}


def night(store: Store, space: str) -> Release:
    """Publish a release of a space, with an encoder and staged vectors left over."""
    current = Releases(store).current()
    versions = tables(store, "documents", f"chunks__{space}")
    tables(store, vectors_table(space))
    model = Path(store.uri).parent / "model"
    save(model, {"weights": space})
    Registry(store).keep(space, model)
    base = 0 if current is None else current.seq
    return Releases(store).publish(base, drafted(versions, space=space))


def test_a_run_publishes_on_top_of_its_base_under_its_own_name(shared: Context) -> None:
    with Lease(shared.store, shared.run) as lease:
        versions = tables(shared.store, "documents", chunks_table("a" * 32))
        release = publish(shared, lease, drafted(versions, run=shared.run, message="done"))
    assert (release.seq, release.run, release.outcome, release.tables) == (1, shared.run, "published", versions)
    assert release.message == "done"


def test_a_run_that_lost_its_lease_publishes_nothing(shared: Context) -> None:
    versions = tables(shared.store, "documents")
    with Lease(shared.store, shared.run) as lease:
        newer = dict.fromkeys(LEASES.names) | {"token": lease.token + 1, "run": "quick", "host": "elsewhere"}
        shared.store.insert_new("leases", LEASES, "token", newer)
        with pytest.raises(LeaseHeld, match="lost its lease"):
            publish(shared, lease, drafted(versions))
    assert Releases(shared.store).all() == []
    assert shared.store.open("documents").tags.list() == {}


def test_a_run_whose_base_moved_publishes_nothing(shared: Context) -> None:
    with Lease(shared.store, shared.run) as lease:
        first = night(shared.store, "aa")
        with pytest.raises(ReleaseMoved, match="release 1 was published by another run"):
            publish(shared, lease, drafted(tables(shared.store, "documents"), space="bb"))
    assert Releases(shared.store).all() == [first]


def test_tidying_drops_staged_vectors_and_what_only_expired_releases_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "store")
    monkeypatch.setattr(Store, "idle", lambda store, name: timedelta(days=2))
    for space in ("aa", "bb", "cc"):
        night(store, space)
    clean_up(store, ReleasesConfig(keep=2), "cc")
    assert [release.seq for release in Releases(store).retained()] == [3, 2]
    assert store.find(vectors_table("cc")) is None
    assert [store.find(f"chunks__{space}") is None for space in ("aa", "bb", "cc")] == [True, False, False]
    assert [Registry(store).has(space) for space in ("aa", "bb", "cc")] == [False, True, True]
    clean_up(store, ReleasesConfig(keep=2), "cc")
    assert [release.seq for release in Releases(store).all()] == [3, 2, 1]  # the record of it stays


def test_a_space_that_a_kept_release_returned_to_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path / "store")
    for space in ("aa", "bb"):
        night(store, space)
    Releases(store).rollback(1, "r")
    clean_up(store, ReleasesConfig(keep=1), "aa")
    assert store.find("chunks__bb") is None
    assert store.find(vectors_table("bb")) is not None  # somebody may stage vectors right now
    monkeypatch.setattr(Store, "idle", lambda store, name: timedelta(days=2))
    clean_up(store, ReleasesConfig(keep=1), "aa")
    assert [store.find(f"chunks__{space}") is None for space in ("aa", "bb")] == [False, True]
    assert [Registry(store).has(space) for space in ("aa", "bb")] == [True, False]
    assert store.find(vectors_table("bb")) is None


def test_what_a_run_left_that_never_published_goes_once_it_is_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "store")
    night(store, "aa")
    for name in ("chunks__bb", "vectors__bb", "vectors__cc"):
        tables(store, name)
    for space in ("bb", "cc", "dd"):
        Registry(store).keep(space, tmp_path / "model")
    clean_up(store, ReleasesConfig(), "aa")
    assert store.tables() == ["chunks__aa", "chunks__bb", "documents", "releases", "vectors__bb", "vectors__cc"]
    assert sorted(Registry(store).spaces()) == ["aa", "bb", "cc"]  # no run of dd began to embed
    monkeypatch.setattr(Store, "idle", lambda store, name: timedelta(days="cc" not in name and 2))
    clean_up(store, ReleasesConfig(), "aa")
    assert store.tables() == ["chunks__aa", "documents", "releases", "vectors__cc"]
    assert sorted(Registry(store).spaces()) == ["aa", "cc"]


def test_a_store_that_does_not_answer_after_a_publish_costs_the_clean_up_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def silent(_: Store) -> list[str]:
        raise Unreachable("s3://bucket: the object store does not answer")

    store = Store(tmp_path / "store")
    night(store, "aa")
    monkeypatch.setattr(Store, "tables", silent)
    with caplog.at_level(logging.WARNING):
        clean_up(store, ReleasesConfig(), "aa")
    assert "clean-up was put off to the next run: s3://bucket" in caplog.text


def test_a_clean_up_that_fails_is_put_off(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = Store(tmp_path / "store")
    night(store, "aa")
    for manifest in (tmp_path / "store" / "documents.lance" / "_versions").iterdir():
        manifest.write_bytes(b"no manifest")
    with caplog.at_level(logging.WARNING):
        clean_up(store, ReleasesConfig(), "aa")
    assert "clean-up was put off to the next run" in caplog.text


def test_models_that_no_release_uses_stay_while_they_are_the_newest(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    night(store, "aa")
    for number in range(5):
        for space, parent in ((f"c{number}", "aa"), (f"d{number}", None)):
            Registry(store).keep(space, tmp_path / "model")
            created = datetime(2026, 1, 1 + number, tzinfo=UTC)
            Models(store).record(ModelRecord(space=space, name=space, parent=parent, created=created))
    clean_up(store, ReleasesConfig(), "aa")
    assert sorted(Registry(store).spaces()) == ["aa", "c2", "c3", "c4", "d2", "d3", "d4"]


def test_a_model_without_a_table_stays_as_long_as_a_release_has_a_role_for_it(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    night(store, "aa")
    Registry(store).keep("rr", tmp_path / "model")
    release = Releases(store).get()
    roles = {**release.roles, "reranker": Role("rr", EncoderRecord("rr"))}
    Releases(store).publish(1, Draft(run="r", tables=release.tables, roles=roles))
    clean_up(store, ReleasesConfig(), "aa")
    assert sorted(Registry(store).spaces()) == ["aa", "rr"]
