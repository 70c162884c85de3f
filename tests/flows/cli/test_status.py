"""The command that says how an index is."""

from __future__ import annotations

import json
from pathlib import Path

from commands import TOML, corpus, tidemark, told


def test_before_the_first_release_it_is_outdated_and_says_what_to_do(tmp_path: Path) -> None:
    corpus(tmp_path)
    result = tidemark(tmp_path, "status")
    assert result.exit_code == 1
    assert "no release yet" in result.stdout and "tidemark refresh" in result.stdout
    assert not (tmp_path / "store").exists()


def test_it_tells_release_run_refused_hold_and_quality_on_one_screen(tmp_path: Path) -> None:
    corpus(tmp_path)
    (tmp_path / "notes" / "empty.md").touch()
    assert tidemark(tmp_path, "refresh").exit_code == 0
    found = told(tmp_path, "status")
    assert (found["release"], found["outdated"], found["lease"], found["holds"]) == (1, False, None, [])
    assert (found["counts"]["documents"], found["refused"], found["stale"], found["failed"]) == (6, 1, 0, 0)
    assert found["index"] is None  # so few chunks are compared one by one
    assert (found["run"]["kind"], found["run"]["outcome"]) == ("refresh", "published")
    assert tidemark(tmp_path, "hold", "the index is looked at").exit_code == 0
    shown = tidemark(tmp_path, "status")
    assert shown.exit_code == 0
    assert all(word in shown.stdout for word in ("release 1", "held", "the index is looked at", "nobody", "evaluation"))
    assert len(shown.stdout.splitlines()) < 24


def test_an_index_that_no_night_renewed_ends_with_one_also_as_json(tmp_path: Path) -> None:
    corpus(tmp_path, toml=TOML + "[limits]\nstale_hours = 1e-6\n")
    assert tidemark(tmp_path, "refresh").exit_code == 0
    result = tidemark(tmp_path, "status", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["outdated"] is True
    assert "outdated" in tidemark(tmp_path, "status").stdout
