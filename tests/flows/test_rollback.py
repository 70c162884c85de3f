"""The way back: one row, and readers see the earlier release with its own encoder."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from corpus import configure, documents, found, prose, rows, save
from rich.console import Console

from flows.audit import audit
from flows.config.schema import Config
from flows.hold import hold
from flows.refresh import refresh
from flows.rollback import RollbackResult, rollback
from flows.views.run import rollback_view
from storage.diff import diff
from storage.errors import InputError, ReleaseMoved
from storage.reader import Reader
from storage.tables.releases import Releases
from storage.tables.runs import Runs
from storage.tables.store import Store
from tasks.progress import Silent


class Meddler(Silent):
    """Rolls back at the moment at which a refresh is about to publish."""

    def __init__(self, config: Config) -> None:
        self.config = config

    def stage(self, name: str) -> None:
        if name == "publish":
            rollback(self.config)


def names(config: Config, release: int | None = None) -> list[str]:
    return sorted(name.removeprefix("notes/") for name in documents(config, release))


def test_a_rollback_gives_readers_the_release_before(config: Config) -> None:
    reader = Reader.open(config.store.uri)
    result = rollback(config, trigger="operator")
    assert result == RollbackResult(release=3, restored=1, run=result.run)
    assert names(config) == ["a.md"]
    assert {hit.document for hit in found(config, "row of the buoy", 9)} == {"a.md"}
    assert reader.chunks.count_rows() == len(rows(config, 2))  # who reads release 2 goes on
    assert audit(config, deep=True).ok


def test_a_rollback_is_recorded_as_a_run(config: Config) -> None:
    result = rollback(config, 1, trigger="operator")
    row = Runs(Store(config.store.uri)).get(result.run)
    told = {name: row[name] for name in ("kind", "trigger", "outcome", "base", "release", "message")}
    assert told == {
        "kind": "rollback",
        "trigger": "operator",
        "outcome": "published",
        "base": 2,
        "release": 3,
        "message": "release 3 restores release 1",
    }
    assert Releases(Store(config.store.uri)).get().run == result.run


def test_the_night_after_a_rollback_embeds_nothing_again(config: Config) -> None:
    rollback(config)
    result = refresh(config)
    assert (result.outcome, result.release, result.counts["embedded"], result.counts["added"]) == ("published", 4, 0, 1)
    assert (names(config), rows(config)) == (names(config, 2), rows(config, 2))
    assert refresh(config).outcome == "unchanged"
    assert rollback(config).restored == 1  # not 2, from which somebody had rolled back


def test_a_rollback_of_a_rollback_and_back_again(config: Config) -> None:
    rollback(config, 1)
    assert (rollback(config, 2).release, names(config)) == (4, ["a.md", "b.md"])
    assert refresh(config).outcome == "unchanged"


def test_a_rollback_over_a_switch_of_encoders_brings_the_old_encoder_back(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor"), "b.md": prose("buoy")})
    first = refresh(config)
    other = configure(tmp_path, encoder={"name": "stub:5"})
    refresh(other, accept_encoder=True)
    rollback(other)
    assert Reader.open(config.store.uri).release.space == first.space
    assert found(config, "row of the buoy", 1)[0].document == "b.md"
    assert refresh(config).outcome == "unchanged"
    waiting = refresh(other)
    assert waiting.outcome == "needs-approval"
    assert "encoder: stub:5, but release 3 (a rollback to 1) has encoder stub; 0 chunks (0 tokens)" in waiting.message
    again = refresh(other, accept_encoder=True)
    assert (again.outcome, again.counts["embedded"]) == ("published", 0)
    assert audit(other, deep=True).ok


@pytest.mark.parametrize(
    ("to", "reason"), [(None, "no release before 1"), (1, "what readers see already"), (7, "there is no release 7")]
)
def test_a_rollback_to_nowhere_changes_nothing(tmp_path: Path, to: int | None, reason: str) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor")})
    refresh(config)
    with pytest.raises(InputError, match=reason):
        rollback(config, to)
    assert [row["kind"] for row in Runs(Store(config.store.uri)).all()] == ["refresh"]


def test_there_is_no_way_back_from_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing is published yet"):
        rollback(configure(tmp_path))


def test_a_refresh_on_top_of_which_somebody_rolled_back_publishes_nothing(config: Config, tmp_path: Path) -> None:
    save(tmp_path / "notes", {"c.md": prose("chart")})
    with pytest.raises(ReleaseMoved, match="release 3 was published by another run or a rollback"):
        refresh(config, console=Meddler(config))
    assert names(config) == ["a.md"]
    assert Runs(Store(config.store.uri)).all()[1]["outcome"] == "lease-held"
    result = refresh(config)
    assert (result.outcome, result.counts["embedded"], names(config)) == (
        "published",
        0,
        ["a.md", "b.md", "c.md"],
    )
    assert audit(config, deep=True).ok


def test_a_rollback_says_when_which_changes_come_back_unless_somebody_holds(config: Config) -> None:
    def told(result: RollbackResult) -> str:
        console = Console(width=200, record=True, file=StringIO())
        console.print(rollback_view(result))
        return console.export_text()

    result = rollback(config)
    changes = sum(diff(config.store.uri, 2, 3).counts.values())
    assert (result.changes, result.upcoming, changes > 0) == (changes, None, True)
    again = "the next refresh publishes {} again, unless somebody holds"
    assert again.format("this change") in told(replace(result, changes=1))
    assert again.format("these 1,234 changes") in told(replace(result, changes=1234))
    due = datetime(2026, 1, 2, 2, tzinfo=UTC)
    assert "the refresh of 2026-01-02 02:00 UTC publishes" in told(replace(result, upcoming=due))
    assert "the next refresh publishes what was taken back again" in told(replace(result, changes=None))
    hold(Store(config.store.uri), "somebody looks into it")
    held = rollback(config, 2)
    assert (held.hold, held.message.endswith("stays until `tidemark unhold`: somebody looks into it")) == (
        "somebody looks into it",
        True,
    )
    assert "publishes" not in told(held)
