"""Nights that are watched: their figures are kept, judged and told, and an alarm stops nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from commands import tidemark, told
from corpus import configure, prose, save

from flows.config.schema import Config
from flows.dashboard.deployed import concluded
from flows.drift import drift
from flows.refresh import refresh
from storage.errors import InputError
from storage.tables.drift import Drift
from storage.tables.runs import Runs
from storage.tables.store import Store
from tasks.watch.config import DriftConfig

WATCHED = {"hours": 0, "least": 4, "least_nights": 3, "nights": 6}
TOML = """
[store]
uri = "store"
[encoder]
name = "stub"
[chunker]
min_tokens = 8
max_tokens = 24
[limits]
max_lost_share = 1.0
max_refused_share = 1.0
[drift]
hours = 0
least = 4
least_nights = 3
nights = 6
[[sources]]
name = "notes"
kind = "folder"
path = "notes"
"""
EACH = 60
WORDS = ("anchor", "buoy", "chart", "dock", "ebb", "flood", "gale", "hull", "inlet", "jetty")


def notes(number: int, count: int = EACH) -> dict[str, str]:
    """The documents of a night."""
    return {f"{number}-{at}.md": prose(f"{WORDS[at % 10]} number {number} of {at}", 1) for at in range(count)}


def rows(config: Config) -> list[dict[str, Any]]:
    return Drift(Store(config.store.uri)).all()


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of a first load and four nights that are like each other."""
    base = tmp_path_factory.mktemp("watched") / "quiet"
    base.mkdir()
    (base / "tidemark.toml").write_text(TOML, encoding="utf-8")
    for number in range(5):
        assert refresh(configure(base, notes(number), drift=WATCHED)).outcome == "published"
    return base


@pytest.fixture
def base(quiet: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(quiet, tmp_path / "base"))


def test_every_night_leaves_its_figures(quiet: Path) -> None:
    config = configure(quiet, drift=WATCHED)
    found = rows(config)
    assert sorted({row["release"] for row in found}) == [1, 2, 3, 4, 5]
    names = {(row["family"], row["name"]) for row in found if row["release"] == 5}
    assert {("data", "documents"), ("data", "new_words"), ("data", "languages")} <= names
    assert ("embeddings", "mean_difference") in names
    assert "documents" not in {row["name"] for row in found if row["release"] == 1}
    assert [row["value"] for row in found if row["name"] == "documents"] == [EACH] * 4
    assert not any(row["alarm"] for row in found)
    space = {row["space"] for row in found if row["family"] == "embeddings"}
    assert space == {Runs(Store(config.store.uri)).all()[0]["model"]["id"]}


def test_a_source_that_falls_silent_is_told_and_stops_nothing(base: Path) -> None:
    config = configure(base, drift=WATCHED)
    result = refresh(config)
    assert result.outcome == "unchanged"
    assert result.message.endswith("1 alarm: documents of notes")
    run = Runs(Store(config.store.uri)).all()[0]
    assert (run["data"]["drift"]["alarms"], run["data"]["drift"]["message"]) == (1, "1 alarm: documents of notes")
    found = told(base, "drift")
    assert set(found) >= {"release", "alarms", "figures"}
    (alarm,) = found["alarms"]
    assert set(alarm) == {"family", "name", "source", "value", "limit", "nights", "advice"}
    assert (alarm["family"], alarm["name"], alarm["source"]) == ("data", "documents", "notes")
    assert (found["release"], alarm["value"], alarm["nights"]) == (5, 0.0, 1)
    assert 0 < alarm["limit"] < EACH
    shown = tidemark(base, "drift")
    assert (shown.exit_code, "! documents of notes" in shown.stdout) == (0, True)
    assert tidemark(base, "drift", "--strict").exit_code == 5
    # The second night of it is not told again, but it still stands.
    assert "alarm" not in refresh(config).message
    assert tidemark(base, "drift", "--strict", "--json").exit_code == 5


def test_a_quiet_night_passes_the_strict_look(quiet: Path) -> None:
    assert tidemark(quiet, "drift", "--strict").exit_code == 0


def test_another_field_is_told_by_words_and_vectors(base: Path) -> None:
    text = "Cheese ripens in a cool cellar {}. Turn each wheel weekly, brush its rind, and taste before you sell any."
    save(base / "notes", {f"cheese{at}.md": text.format(at) for at in range(EACH)})
    result = refresh(configure(base, drift=WATCHED))
    assert result.outcome == "published"
    figures = {each.figure.name: each for each in drift(configure(base, drift=WATCHED)).figures}
    assert figures["new_words"].over and "cheese" in figures["new_words"].figure.detail["words"]
    moved = figures["mean_difference"]
    assert moved.alarm and moved.figure.detail["auc"] > 0.9
    grew = moved.figure.detail["grew"][0]
    assert grew["documents"][0]["document"].startswith("cheese")
    assert "cell grew" in tidemark(base, "drift").stdout


def test_a_backtest_replays_the_nights_under_other_thresholds(base: Path) -> None:
    refresh(configure(base, drift=WATCHED))
    nights = told(base, "drift", "--backtest")
    assert [night["release"] for night in nights] == [1, 2, 3, 4, 5, 5]
    assert [len(night["alarms"]) for night in nights] == [0, 0, 0, 0, 0, 1]
    assert told(base, "drift", "--backtest", "--at-once", "9")[-1]["alarms"] == []
    assert told(base, "drift", "--backtest", "--least-nights", "5")[-1]["alarms"] == []
    assert "documents of notes" in tidemark(base, "drift", "--backtest").stdout
    wrong = tidemark(base, "drift", "--factor", "-1")
    assert (wrong.exit_code, "--factor -1" in wrong.stderr) == (2, True)


def test_a_night_that_waits_for_approval_is_watched_too(base: Path) -> None:
    config = configure(base, drift=WATCHED, limits={"max_lost_share": 0.1})
    save(base / "notes", dict.fromkeys(notes(1)) | notes(7, 400))
    assert refresh(config).outcome == "needs-approval"
    last = [row for row in rows(config) if row["release"] is None]
    assert {row["name"] for row in last if row["alarm"]} == {"documents"} or {"deleted", "documents"} <= {
        row["name"] for row in last if row["over"]
    }
    # It brings the same once it is approved of: as history it would count twice.
    assert refresh(config, accept_deletions=True).outcome == "published"
    assert rows(config)[-1]["release"] == 6


def test_a_run_by_hand_an_hour_later_is_no_night(base: Path) -> None:
    before = len(rows(configure(base, drift=WATCHED)))
    config = configure(base, drift=WATCHED | {"hours": 12})
    assert refresh(config).message == "nothing changed: 0 chunks embedded"
    assert len(rows(config)) == before


def test_a_release_that_was_not_watched_is_measured_from_its_tables(base: Path) -> None:
    config = configure(base, drift=WATCHED)
    for name in ("drift", "nights", "vocabulary", "cells"):
        Store(config.store.uri).drop(name)
    found = drift(config)
    assert found.release == 5
    assert {each.figure.name: each.figure.value for each in found.figures}["documents"] == EACH
    assert found.notes[0].endswith("they need 3 nights before them, and have 0")
    again = drift(config)
    assert {each.figure.key for each in again.figures} == {each.figure.key for each in found.figures}
    assert again.notes == found.notes
    assert [each.figure.key for each in drift(config).figures] == [each.figure.key for each in again.figures]


def test_nothing_is_watched_that_is_switched_off(tmp_path: Path) -> None:
    config = configure(tmp_path, notes(0, 6), drift=WATCHED | {"data": False, "embeddings": False})
    refresh(config)
    assert rows(config) == []
    assert not {"nights", "vocabulary", "cells"} & set(Store(config.store.uri).tables())


def test_thresholds_are_checked() -> None:
    assert DriftConfig().given({"factor": 9.0}).factor == 9.0
    with pytest.raises(InputError, match=r"--of-nights 0: .* greater than or equal to 1"):
        DriftConfig().given({"of_nights": 0})


def test_a_strict_look_ends_in_a_state_of_its_own(base: Path) -> None:
    config = configure(base, drift=WATCHED)
    refresh(config)
    state = concluded("drift", lambda: drift(config, strict=True))
    assert (state.name, state.is_failed()) == ("Drifted", True)
    assert concluded("drift", lambda: drift(config, backtest=True)).is_completed()


def test_json_is_what_the_drift_table_says(quiet: Path) -> None:
    config = configure(quiet, drift=WATCHED)
    kept = [row for row in rows(config) if row["release"] == 5]
    shown = json.loads(tidemark(quiet, "drift", "--json").stdout)["figures"]
    assert sorted((row["name"], row["value"], row["limit"]) for row in kept if row["limit"]) == sorted(
        (each["name"], each["value"], each["limit"]) for each in shown if each["limit"]
    )
