"""The quarantine table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from storage.hashing import document_key
from storage.tables.quarantine import QUARANTINE, Quarantine
from storage.tables.store import Store

NOW = datetime(2026, 1, 31, 2, 0, tzinfo=UTC)
NEXT = NOW + timedelta(days=1)


@pytest.fixture
def quarantine(tmp_path: Path) -> Quarantine:
    return Quarantine(Store(tmp_path / "store"))


def refused(*names: str, reason: str = "is empty") -> pl.DataFrame:
    fixed: dict[str, object] = {"source": "notes", "revision": "r1", "rule": "content-present", "rule_version": "1"}
    fixed |= {"judged": "j1", "defect": True}
    return pl.DataFrame(
        [
            {"key": document_key("notes", name), "document": name, "reason": reason, "excerpt": ""} | fixed
            for name in names
        ]
    )


def test_nothing_is_held_at_first(quarantine: Quarantine) -> None:
    assert quarantine.all() == []
    assert quarantine.held().is_empty()
    assert quarantine.release([]) == 0


def test_a_refused_row_is_kept_with_its_reason(quarantine: Quarantine) -> None:
    quarantine.refuse(refused("a.md"), "r1", NOW)
    [row] = quarantine.all()
    assert row == {
        "key": document_key("notes", "a.md"),
        "source": "notes",
        "document": "a.md",
        "revision": "r1",
        "rule": "content-present",
        "rule_version": "1",
        "reason": "is empty",
        "judged": "j1",
        "excerpt": "",
        "attempts": 1,
        "first_seen": NOW,
        "last_seen": NOW,
        "run": "r1",
        "defect": True,
        "stale_since": None,
    }


def test_another_refusal_counts_an_attempt_and_tells_the_new_reason(quarantine: Quarantine) -> None:
    quarantine.refuse(refused("a.md", "b.md"), "r1", NOW)
    quarantine.refuse(refused("a.md", reason="is too long"), "r2", NEXT)
    shown = [
        (row["document"], row["reason"], row["attempts"], row["first_seen"], row["last_seen"], row["run"])
        for row in quarantine.all()
    ]
    assert shown == [("a.md", "is too long", 2, NOW, NEXT, "r2"), ("b.md", "is empty", 1, NOW, NOW, "r1")]


def test_what_is_held_is_what_a_plan_compares(quarantine: Quarantine) -> None:
    quarantine.refuse(refused("a.md"), "r1", NOW)
    assert quarantine.held().row(0, named=True) == {
        "key": document_key("notes", "a.md"),
        "source": "notes",
        "document": "a.md",
        "revision": "r1",
        "rule": "content-present",
        "judged": "j1",
        "defect": True,
        "stale_since": None,
        "first_seen": NOW,
        "last_seen": NOW,
    }


def test_since_when_a_document_is_stale_stays_through_further_refusals(quarantine: Quarantine) -> None:
    quarantine.refuse(refused("a.md", "b.md"), "r1", NOW)
    key = document_key("notes", "a.md")
    schema = {"key": pl.String, "stale_since": pl.Datetime("us", "UTC")}
    quarantine.mark(pl.DataFrame({"key": [key, document_key("notes", "never")], "stale_since": [NOW, NOW]}, schema))
    quarantine.refuse(refused("a.md", reason="is torn"), "r2", NEXT)
    shown = {row["document"]: (row["reason"], row["attempts"], row["stale_since"]) for row in quarantine.all()}
    assert shown == {"a.md": ("is torn", 2, NOW), "b.md": ("is empty", 1, None)}
    quarantine.mark(pl.DataFrame({"key": [key], "stale_since": [None]}, schema))
    assert [row["stale_since"] for row in quarantine.all()] == [None, None]


def test_rows_of_before_staleness_was_known_are_read_with_nothing_in_it(quarantine: Quarantine) -> None:
    old = pa.schema([field for field in QUARANTINE if field.name not in ("defect", "stale_since")])
    row = dict.fromkeys(old.names) | {"key": "ab", "source": "notes", "document": "a.md", "last_seen": NOW}
    quarantine.store.upsert("quarantine", old, "key", [row])
    assert quarantine.held().select("document", "defect", "stale_since").rows() == [("a.md", None, None)]
    assert [(row["defect"], row["stale_since"]) for row in quarantine.all()] == [(None, None)]


def test_a_released_row_starts_again_at_one(quarantine: Quarantine) -> None:
    quarantine.refuse(refused("a.md", "b.md"), "r1", NOW)
    assert quarantine.release([document_key("notes", "a.md"), document_key("notes", "never")]) == 1
    assert [row["document"] for row in quarantine.all()] == ["b.md"]
    quarantine.refuse(refused("a.md"), "r2", NEXT)
    assert [(row["document"], row["attempts"]) for row in quarantine.all()] == [("a.md", 1), ("b.md", 1)]


def test_no_rows_write_nothing(quarantine: Quarantine) -> None:
    quarantine.refuse(refused("a.md").clear(), "r1", NOW)
    assert quarantine.store.find("quarantine") is None


def test_what_is_refused_and_stale_is_counted(quarantine: Quarantine) -> None:
    assert quarantine.counted() == (0, 0)
    quarantine.refuse(refused("a.md", "b.md", "c.md"), "r1", NOW)
    quarantine.mark(pl.DataFrame({"key": [document_key("notes", "b.md")], "stale_since": [NOW]}))
    assert quarantine.counted() == (3, 1)
