"""What people asked leaves the figures of old nights as it leaves the log of queries; the figures stay."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from storage.tables.drift import Drift
from storage.tables.store import Store

NOW = datetime(2026, 1, 31, 2, tzinfo=UTC)
GAP = [{"queries": 3, "best": 0.1, "examples": ["a secret question", "könnte es"]}, {"queries": 1, "best": 0.2}]


def figure(run: str, days: int, family: str = "queries", **detail: Any) -> dict[str, Any]:
    """A figure of a night some days ago."""
    told = json.dumps(detail, ensure_ascii=False) if detail else None
    created = NOW - timedelta(days=days)
    return {"run": run, "family": family, "name": "low_scores", "value": 0.5, "created": created, "detail": told}


def test_texts_go_with_the_queries_and_their_numbers_stay(tmp_path: Path) -> None:
    drift = Drift(Store(tmp_path))
    assert drift.forget_texts(NOW) == 0
    drift.add([figure("old", 40, of=9, gap=GAP), figure("new", 3, of=9, gap=GAP), figure("none", 50)])
    drift.add([figure("old", 40, "data", examples=["a document"])])
    assert drift.forget_texts(NOW - timedelta(days=30)) == 1
    told = {(row["run"], row["family"]): json.loads(row["detail"] or "{}") for row in drift.all()}
    assert told["old", "queries"] == {"of": 9, "gap": [{"queries": 3, "best": 0.1}, {"queries": 1, "best": 0.2}]}
    assert told["new", "queries"] == {"of": 9, "gap": GAP}
    assert told["old", "data"] == {"examples": ["a document"]}
    assert [row["value"] for row in drift.all()] == [0.5] * 4
    assert drift.forget_texts(NOW - timedelta(days=30)) == 0


def test_the_figures_of_a_run_are_its_own_and_a_run_without_any_has_none(tmp_path: Path) -> None:
    drift = Drift(Store(tmp_path))
    assert drift.of("new") == []
    drift.add([figure("old", 40), figure("new", 3), figure("new", 3, "data")])
    assert [(row["run"], row["family"]) for row in drift.of("new")] == [("new", "data"), ("new", "queries")]
    assert drift.of("none") == []


def test_the_newest_figures_are_told_by_their_time_not_by_when_they_were_written(tmp_path: Path) -> None:
    drift = Drift(Store(tmp_path))
    assert drift.newest() is None
    drift.add([figure("new", 3), figure("new", 3, "data")])
    drift.add([figure("old", 40)])
    assert drift.newest() == NOW - timedelta(days=3)
