"""The table of evaluations: bound to the run that made a release, found again through rollbacks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from drafts import drafted

from storage.tables.documents import DOCUMENTS
from storage.tables.evaluations import Evaluations
from storage.tables.releases import Release, Releases
from storage.tables.store import Store

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def publish(store: Store, run: str) -> Release:
    current = Releases(store).current()
    version = store.ensure("documents", DOCUMENTS).version
    return Releases(store).publish(0 if current is None else current.seq, drafted({"documents": version}, run=run))


def row(run: str, maker: str, minutes: int = 0, **facts: Any) -> dict[str, Any]:
    whole = {"run": run, "maker": maker, "set": "s", "split": "test", "mode": "exact", "asked": ["q"], "figures": [0.5]}
    return whole | {"created": NOW + timedelta(minutes=minutes), "ndcg_10": 0.5} | facts


def test_a_store_without_the_table_holds_no_evaluation(store: Store) -> None:
    release = publish(store, "r1")
    assert Evaluations(store).all() == []
    assert Evaluations(store).latest(release, "exact") == {}
    Evaluations(store).add([])
    assert store.find("evaluations") is None


def test_the_newest_evaluation_of_a_release_is_found_with_its_figures(store: Store) -> None:
    release = publish(store, "r1")
    table = Evaluations(store)
    table.add([row("r1", "r1", release=1), row("e1", "r1", 5, release=1, figures=[0.75])])
    table.add([row("e0", "r1", 2, release=1), row("e1", "r1", 5, by="length", value="short", ndcg_10=0.1)])
    table.add([row("e1", "r1", 5, mode="text", figures=[0.0]), row("e2", "other", 9, figures=[1.0])])
    found = table.latest(release, "exact")
    assert found.keys() == {"s"}
    assert (found["s"]["run"], found["s"]["figures"], found["s"]["recall_1"]) == ("e1", [0.75], None)
    assert [each["run"] for each in table.all(release=1)] == ["e1", "e0", "r1"]
    assert "figures" not in table.all()[0]


def test_what_a_run_writes_again_replaces_what_it_wrote(store: Store) -> None:
    table = Evaluations(store)
    table.add([row("r1", "r1")])
    table.add([row("r1", "r1", 1, ndcg_10=0.9)])
    assert [each["ndcg_10"] for each in table.all()] == [0.9]


def test_a_number_that_another_run_took_is_not_mistaken(store: Store) -> None:
    Evaluations(store).add([row("loser", "loser", release=1)])
    assert Evaluations(store).latest(publish(store, "winner"), "exact") == {}


def test_a_rollback_is_as_good_as_what_it_restores(store: Store) -> None:
    publish(store, "r1")
    Evaluations(store).add([row("r1", "r1", release=1)])
    store.append("documents", DOCUMENTS, [])
    store.open("documents").update_config({"a": "b"})
    publish(store, "r2")
    back = Releases(store).rollback(1, "r3")
    assert Evaluations(store).latest(back, "exact")["s"]["run"] == "r1"
