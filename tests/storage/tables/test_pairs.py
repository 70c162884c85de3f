"""The pairs table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from storage.errors import TableMissing
from storage.hashing import digest
from storage.tables.pairs import PAIRS, PairTable, forget, write
from storage.tables.store import Store
from storage.tables.tags import tags_of


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def rows(names: Iterable[str], split: str = "train", grade: int = 1) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "id": digest(name + split),
                "question": f"what is {name}?",
                "key": digest(f"key of {name}"),
                "source": "notes",
                "document": f"{name}.md",
                "content_hash": digest(f"content of {name}"),
                "passage": f"all about {name}",
                "kind": "titles",
                "group": None,
                "cluster": digest(f"content of {name}"),
                "split": split,
                "grade": grade,
                "weight": 1.0,
            }
            for name in names
        ],
        schema_overrides={"group": pl.String, "grade": pl.Int32, "weight": pl.Float32},
    )


def questions(store: Store, **which: object) -> list[str]:
    parts = PairTable(store).slices(**which)  # type: ignore[arg-type]
    return [question for part in parts for question in part["question"]]


def test_pairs_come_back_by_part_in_order(store: Store) -> None:
    write(store, 3, [rows("ab"), rows("c", "dev"), rows("d")], fingerprint="f", run="r1")
    assert questions(store) == ["what is a?", "what is b?", "what is c?", "what is d?"]
    assert questions(store, split="train") == ["what is a?", "what is b?", "what is d?"]
    assert PairTable(store).counts(3) == {("titles", "dev"): 1, ("titles", "train"): 3}
    assert PairTable(store).fingerprint(3) == "f"
    [part] = PairTable(store).slices(split="dev")
    assert part.columns == PAIRS.names
    assert part.select("version", "run").row(0) == (3, "r1")


def test_negatives_are_read_only_when_asked_for(store: Store) -> None:
    write(store, 3, [rows("a"), rows("b", grade=0)])
    assert questions(store) == ["what is a?"]
    assert questions(store, negatives=True) == ["what is a?", "what is b?"]


def test_each_data_version_has_its_own_pairs(store: Store) -> None:
    write(store, 3, [rows("a")])
    write(store, 5, [rows("bc")])
    assert questions(store, version=3) == ["what is a?"]
    assert questions(store, version=5) == questions(store) == ["what is b?", "what is c?"]
    with pytest.raises(TableMissing):
        questions(store, version=4)
    assert PairTable(store).fingerprint(4) is None


def test_pairs_of_a_data_version_are_replaced_as_a_whole(store: Store) -> None:
    write(store, 3, [rows("ab")])
    write(store, 3, [rows("c")])
    assert questions(store, version=3) == ["what is c?"]
    write(store, 3, [])
    assert questions(store, version=3) == []
    assert PairTable(store).counts(3) == {}


def test_a_write_that_breaks_off_leaves_the_pairs_that_were(store: Store) -> None:
    write(store, 3, [rows("ab")])

    def broken() -> Iterator[pl.DataFrame]:
        yield rows("c")
        raise KeyboardInterrupt

    with pytest.raises((KeyboardInterrupt, OSError, RuntimeError, ValueError)):
        write(store, 3, broken())
    assert questions(store) == questions(store, version=3) == ["what is a?", "what is b?"]


def test_pairs_of_data_versions_that_nothing_needs_go(store: Store) -> None:
    assert forget(store, [1], timedelta(0)) == 0
    for version in (3, 4, 5):
        write(store, version, [rows("ab")])
    assert forget(store, [4, 5], timedelta(0)) == 1
    assert tags_of(store.open("pairs")) == {"data-4", "data-5"}
    assert questions(store, version=4) == ["what is a?", "what is b?"]
    assert forget(store, [6], timedelta(0)) == 2
    assert questions(store) == []
