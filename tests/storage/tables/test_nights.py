"""What nights leave behind: sums, cells and words, of published nights alone, and never more than is asked for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from drafts import drafted

from storage.tables.documents import DOCUMENTS
from storage.tables.drift import Drift
from storage.tables.nights import Nights, NightSums
from storage.tables.releases import Releases
from storage.tables.store import Store

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def publish(store: Store, *runs: str) -> None:
    for run in runs:
        current = Releases(store).current()
        version = store.ensure("documents", DOCUMENTS).version
        Releases(store).publish(0 if current is None else current.seq, drafted({"documents": version}, run=run))


def sums(number: int, source: str = "notes", space: str = "s") -> NightSums:
    total = np.arange(4, dtype=np.float64) + number
    kept = np.full((2, 4), 0.25, dtype=np.float32)
    when = START + timedelta(days=number)
    return NightSums(f"r{number}", source, space, when, 3, 5, 11.0, 7.5, total, (1, 4), kept, ("a", "b"))


def test_sums_come_back_as_they_were(store: Store) -> None:
    publish(store, "r1")
    Nights(store).add([sums(1), sums(1, "mail")], keep=10)
    found = {each.source: each for each in Nights(store).last("s", 5)}
    assert set(found) == {"notes", "mail"}
    mine, given = found["notes"], sums(1)
    np.testing.assert_array_equal(mine.total, given.total)
    np.testing.assert_array_equal(mine.kept, given.kept)
    assert (mine.documents, mine.vectors, mine.pairs, mine.squares) == (3, 5, 11.0, 7.5)
    assert (mine.cells, mine.names, mine.created) == ((1, 4), ("a", "b"), given.created)


def test_only_published_nights_of_the_space_count(store: Store) -> None:
    publish(store, "r1", "r3")
    nights = Nights(store)
    assert nights.last("s", 5) == []
    nights.add([], keep=10)
    for each in (sums(1), sums(2), sums(3), sums(3, space="t")):
        nights.add([each], keep=10)
    assert [each.run for each in nights.last("s", 5)] == ["r1", "r3"]
    assert [each.run for each in nights.last("s", 1)] == ["r3"]
    assert [each.run for each in nights.last("t", 5)] == ["r3"]


def test_what_is_older_than_anybody_asks_for_is_forgotten(store: Store) -> None:
    for number in range(10):
        Nights(store).add([sums(number)], keep=3)
    rows = store.open("nights").to_table(columns=["run"])["run"].to_pylist()
    assert "r9" in rows and "r0" not in rows
    assert len(rows) <= 6


def test_a_night_that_is_written_again_is_one_night(store: Store) -> None:
    publish(store, "r1")
    for _ in range(2):
        Nights(store).add([sums(1)], keep=10)
        Nights(store).learn("r1", {"notes": np.array([5, 7], dtype=np.uint32)})
    assert len(Nights(store).last("s", 5)) == 1
    assert store.open("vocabulary").count_rows() == 1


def test_the_cells_of_a_space_are_fixed_by_whoever_is_first(store: Store) -> None:
    nights, first = Nights(store), np.arange(12, dtype=np.float32).reshape(3, 4)
    assert nights.cells("s") is None
    nights.fix("s", first, START)
    nights.fix("s", first + 1, START)
    np.testing.assert_array_equal(nights.cells("s"), first)
    assert nights.cells("t") is None


def test_words_add_up_by_source(store: Store) -> None:
    nights = Nights(store)
    assert nights.vocabulary(["notes"]) == {}
    nights.learn("r1", {"notes": np.array([9, 3], dtype=np.uint32), "mail": np.array([1], dtype=np.uint32)})
    nights.learn("r2", {"notes": np.array([3, 2**32 - 1], dtype=np.uint32), "mail": np.array([], dtype=np.uint32)})
    found = nights.vocabulary(["notes", "never"])
    assert set(found) == {"notes"} and list(found["notes"]) == [3, 9, 2**32 - 1]


def test_a_night_is_told_with_the_release_that_it_published_later(store: Store) -> None:
    table = Drift(store)
    assert table.all() == table.last(5) == []
    row = {"family": "data", "name": "documents", "source": "notes", "value": 1.0}
    for number in range(3):
        run = {"run": f"r{number}", "maker": f"r{number}", "created": START + timedelta(days=number)}
        table.add([row | run, row | run | {"name": "chunks"}])
    publish(store, "r0", "r2")
    assert [(each["run"], each["release"]) for each in table.all() if each["name"] == "chunks"] == [
        ("r0", 1),
        ("r1", None),
        ("r2", 2),
    ]
    assert [each["run"] for each in table.last(2)] == ["r1", "r1", "r2", "r2"]
