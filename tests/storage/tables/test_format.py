"""The format of a store: told, refused where it is newer, and grown step by step."""

from __future__ import annotations

import stat
import time
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oldstore import FORMAT_1, copied

from storage.errors import InputError, LeaseHeld
from storage.tables import format as module
from storage.tables.format import FORMAT, FORMATS, check, migrate, number, upgrade
from storage.tables.lease import Lease
from storage.tables.migrations import MIGRATIONS
from storage.tables.migrations.base import complete_tables, schema_of
from storage.tables.runs import Runs
from storage.tables.store import Store

OLD = Store(FORMAT_1 / "store")


@pytest.fixture
def old(tmp_path: Path) -> Store:
    return Store(copied(tmp_path) / "store")


def schemas(store: Store) -> dict[str, pa.Schema]:
    return {name: store.open(name).schema for name in store.tables()}


def whole(store: Store) -> bool:
    """Whether every table of the store has every column of its schema."""
    held = {name: (schema_of(store, name), schema) for name, schema in schemas(store).items() if name != "format"}
    return all(wanted is not None and set(wanted.names) <= set(there.names) for wanted, there in held.values())


def history(store: Store) -> list[tuple[int, str]]:
    rows = store.open("format").to_table().to_pylist()
    return sorted((row["number"], row["name"]) for row in rows)


def newer(store: Store, reached: int = FORMAT + 5) -> None:
    """Let a later version of the program have been there."""
    row = {"number": reached, "name": "later", "applied": datetime.now(UTC), "code": "9.0"}
    assert store.insert_new("format", FORMATS, "number", row)


def test_migrations_are_numbered_without_a_gap_up_to_the_newest_format() -> None:
    assert [migration.NUMBER for migration in MIGRATIONS] == list(range(2, FORMAT + 1))
    assert len({migration.NAME for migration in MIGRATIONS}) == len(MIGRATIONS)
    files = sorted(path.stem for path in Path(module.__file__).with_name("migrations").glob("m[0-9]*.py"))
    assert files == [f"m{migration.NUMBER:04}_{migration.NAME}" for migration in MIGRATIONS]


def test_a_store_is_born_at_the_newest_format(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    assert number(store) == FORMAT
    check(store)
    assert not (tmp_path / "store").exists()
    with Lease(store, "r"):
        assert number(store) == FORMAT  # the lease alone makes no store of an older format
        assert migrate(store) == []
    assert history(store) == [(FORMAT, "new")]


def test_a_new_store_is_closed_to_other_users(tmp_path: Path) -> None:
    with Lease(Store(tmp_path / "deep" / "store"), "r"):
        assert stat.S_IMODE((tmp_path / "deep" / "store").stat().st_mode) == 0o700


def test_a_store_that_says_nothing_has_the_first_format_and_is_read_without_a_write(old: Store) -> None:
    before = {path: path.stat().st_mtime_ns for path in Path(old.uri).rglob("*")}
    check(old)
    assert number(old) == 1
    assert len(Runs(old).all()) == 4
    assert {path: path.stat().st_mtime_ns for path in Path(old.uri).rglob("*")} == before


def test_an_old_store_gets_every_column_and_its_number(old: Store) -> None:
    assert not whole(old)
    assert migrate(old) == ["roles", "digests", "seals"]
    assert whole(old)
    assert (number(old), history(old)) == (4, [(2, "roles"), (3, "digests"), (4, "seals")])
    [table] = [name for name in old.tables() if name.startswith("vectors__")]
    assert old.open(table).schema.names == ["hash", "vector", "key", "seal"]
    assert migrate(old) == []


def test_versions_that_releases_pin_stay_as_they_were(old: Store) -> None:
    tags = {name: list(old.open(name).tags.list()) for name in old.tables()}
    pinned = {(name, tag): old.open(name, tag).to_table() for name in tags for tag in tags[name]}
    assert len(pinned) == 6
    migrate(old)
    assert {place: old.open(*place).to_table() for place in pinned} == pinned


@pytest.mark.parametrize("refused", [check, migrate, lambda store: upgrade(store, "r")])
def test_a_newer_format_is_refused_by_name(old: Store, refused: object) -> None:
    newer(old, 7)
    wanted = rf"{old.uri} has format 7, made by a later Tidemark; this one knows up to {FORMAT}: upgrade tidemark"
    with pytest.raises(InputError, match=wanted):
        refused(old)  # type: ignore[operator]
    assert not whole(old)


def test_who_has_no_lease_takes_it_for_a_migration_alone(old: Store) -> None:
    with Lease(old, "refresh"), pytest.raises(LeaseHeld, match="held by run refresh"):
        upgrade(old, "audit")
    assert upgrade(old, "audit") == ["roles", "digests", "seals"]
    with Lease(old, "refresh"):
        assert upgrade(old, "audit") == []


def test_a_check_takes_less_than_five_milliseconds(old: Store) -> None:
    migrate(old)
    took = []
    for _ in range(21):
        began = time.perf_counter()
        check(old)
        took.append(time.perf_counter() - began)
    assert min(took) < 0.005  # what else the machine does at that moment is none of its cost


TABLES = OLD.tables()


@settings(max_examples=12, deadline=None)
@given(done=st.lists(st.sampled_from(TABLES), unique=True), recorded=st.booleans())
def test_whatever_part_of_a_migration_was_done_it_ends_with_the_same_schemas(
    tmp_path_factory: pytest.TempPathFactory, done: list[str], recorded: bool
) -> None:
    wanted = Store(copied(tmp_path_factory.mktemp("wanted")) / "store")
    migrate(wanted)
    store = Store(copied(tmp_path_factory.mktemp("part")) / "store")
    for name in done:
        schema = schema_of(store, name)
        assert schema is not None
        store.complete(name, schema)
    if recorded:
        store.ensure("format", FORMATS)  # made, and killed before its first row
    assert number(store) == 1
    assert migrate(store) == ["roles", "digests", "seals"]
    assert schemas(store) == schemas(wanted)


def test_later_migrations_go_on_where_a_killed_one_stopped(old: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    applied: list[int] = []

    def step(reached: int, *, fails: bool = False) -> SimpleNamespace:
        def apply(_: Store) -> None:
            applied.append(reached)
            if fails:
                raise KeyboardInterrupt

        return SimpleNamespace(NUMBER=reached, NAME=f"step{reached}", apply=apply)

    monkeypatch.setattr(module, "FORMAT", 4)
    monkeypatch.setattr("storage.tables.migrations.MIGRATIONS", (step(2), step(3), step(4, fails=True)))
    with pytest.raises(KeyboardInterrupt):
        migrate(old)
    assert number(old) == 3
    monkeypatch.setattr("storage.tables.migrations.MIGRATIONS", (step(2), step(3), step(4)))
    assert migrate(old) == ["step4"]
    assert (applied, history(old)) == ([2, 3, 4, 4], [(2, "step2"), (3, "step3"), (4, "step4")])


def test_a_table_that_is_complete_gets_no_version(old: Store) -> None:
    migrate(old)
    versions = {name: old.open(name).version for name in old.tables()}
    complete_tables(old)
    assert {name: old.open(name).version for name in old.tables()} == versions
