"""What the README prints works as it is printed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from corpus import configure, prose

from flows.exits import EXITS
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


def test_the_exit_codes_are_those_of_the_table() -> None:
    told = {int(code) for code in re.findall(r"\| (\d) \|", README)}
    assert told == {code for code in EXITS.values() if code < 10}


def test_every_command_that_the_readme_names_is_there() -> None:
    looked = {"init", "search", "releases", "runs", "show", "diff", "explain", "quarantine", "models", "report"}
    looked |= {"hold", "unhold", "status", "up", "down", "services"}
    assert set(re.findall(r"tidemark ([a-z]+)\b", README)) <= {*FLOWS, *looked}
