"""What the README prints works as it is printed."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from corpus import configure, prose

from flows.exits import EXITS
from flows.plan import plan
from flows.refresh import refresh
from flows.table import FLOWS

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_both_ways_of_reading_from_an_application_find_the_same(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = {f"{word}.md": prose(word) for word in ("anchor", "buoy", "chart")}
    refresh(configure(tmp_path, texts, encoder={"name": str(tiny_model)}))
    monkeypatch.chdir(tmp_path)
    seen: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL):
        exec(block, seen)
    assert [row["text"] for row in seen["rows"]] == [hit.text for hit in seen["hits"]]
    assert seen["rows"]


def test_a_source_of_ten_lines_is_read_again_only_where_its_revision_moved(tmp_path: Path) -> None:
    (block,) = (each for each in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "def list" in each)
    assert len([line for line in block.splitlines() if line]) <= 10
    (tmp_path / "wiki.py").write_text(block)
    pages = sqlite3.connect(tmp_path / "wiki.db")
    pages.execute("CREATE TABLE pages (id, body, changed)")
    pages.executemany("INSERT INTO pages VALUES (?, ?, 1)", [(word, prose(word)) for word in ("ebb", "flood")])
    pages.commit()
    table = {"name": "wiki", "kind": "wiki:Wiki", "path": "wiki.db"}
    config = configure(tmp_path, sources=[table])
    assert refresh(config).counts["added"] == 2
    assert plan(config).counts["unchanged"] == 2
    pages.execute("UPDATE pages SET body = body || ' Spring tide.', changed = 2 WHERE id = 'ebb'")
    pages.commit()
    again = refresh(config)
    assert (again.counts["changed"], again.counts["unchanged"], again.counts["quarantined"]) == (1, 1, 0)


def test_the_exit_codes_are_those_of_the_table() -> None:
    told = {int(code) for code in re.findall(r"\| (\d) \|", README)}
    assert told == {code for code in EXITS.values() if code < 10}


def test_every_command_that_the_readme_names_is_there() -> None:
    looked = {"init", "search", "releases", "runs", "show", "diff", "explain", "quarantine", "models", "report"}
    looked |= {"hold", "unhold", "status", "up", "down", "services"}
    assert set(re.findall(r"tidemark ([a-z]+)\b", README)) <= {*FLOWS, *looked}
