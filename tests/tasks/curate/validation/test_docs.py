"""The page of data docs."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tasks.curate.validation.docs import write_docs
from tasks.curate.validation.rules import Rule
from tasks.curate.validation.validator import BatchVerdict, Outcome

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BETWEEN = Rule("content-length", 1, "expect_column_values_to_be_between", {"column": "chars", "min_value": 5}, "")
COUNT = Rule("enough", 1, "expect_table_row_count_to_be_between", {"min_value": 5}, "", "rules.yaml, entry 1")
TITLES = Rule("titles", 1, "expect_column_values_to_match_regex", {"column": "title", "regex": "^<b>"}, "")


def verdict() -> BatchVerdict:
    outcomes = (
        Outcome(BETWEEN, True, 10, 2, 3, ("1", "2"), documents=("notes/<a>.md", "notes/b.md"), success=False),
        Outcome(COUNT, per_row=False, rows=10, observed=10),
        Outcome(TITLES, per_row=True, rows=10, unexpected=1, samples=("<script>alert(1)</script> $x",), success=False),
    )
    return BatchVerdict(10, 4, (), outcomes)


def page(folder: Path) -> str:
    return write_docs(folder / "docs" / "run-7", verdict(), "run-7", NOW).read_text(encoding="utf-8")


def test_the_page_tells_each_rule_with_its_counts(tmp_path: Path) -> None:
    text = page(tmp_path)
    for rule in (BETWEEN, COUNT, TITLES):
        assert f"{rule.name}: {rule.expectation}" in text
    assert "3 unexpected values found" in text
    assert "37.5% unexpected" in text
    assert "run-7" in text


def test_the_page_names_documents_and_how_to_learn_more(tmp_path: Path) -> None:
    named = "found in notes/&lt;a&gt;.md, notes/b.md and 1 more: `tidemark quarantine show` tells more"
    assert named in page(tmp_path)


def test_the_page_fetches_nothing(tmp_path: Path) -> None:
    text = page(tmp_path)
    assert re.findall(r"""(?:src|href)=["'](?:https?:)?//[^"']*""", text) == []
    assert "http" not in text
    assert "<script" not in text


def test_what_documents_hold_does_not_run_in_the_page(tmp_path: Path) -> None:
    text = page(tmp_path)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "^&lt;b&gt;" in text


def test_the_page_is_the_only_file(tmp_path: Path) -> None:
    page(tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()] == [
        "docs/run-7/index.html"
    ]


def test_a_run_id_that_reads_as_a_time_in_an_impossible_zone_is_only_a_name(tmp_path: Path) -> None:
    for run in ("20261123-231045-999999", "20261123-231045-2e9999"):
        assert run in write_docs(tmp_path / run, verdict(), run, NOW).read_text(encoding="utf-8")


def test_a_page_is_drawn_anew_only_where_it_would_show_something_else(tmp_path: Path) -> None:
    def shown(run: str, **changed: Any) -> bool:
        first, *others = verdict().outcomes
        outcomes = (replace(first, **changed), *(replace(one, rows=one.rows + 1) for one in others[1:]))
        return run in write_docs(tmp_path, BatchVerdict(11, 4, (), outcomes), run, NOW).read_text(encoding="utf-8")

    clean = {"unexpected": 0, "missing": 0, "samples": (), "documents": (), "success": True}
    assert shown("run-1", **clean)
    assert not shown("run-2", **clean, rows=2_000)
    assert shown("run-3")
    assert not shown("run-4")
    assert shown("run-5", rows=11)
    assert shown("run-6", documents=("notes/c.md",))
    page = tmp_path / "index.html"
    page.write_bytes(page.read_bytes()[:-1])  # as a process leaves it that was killed as it wrote
    assert shown("run-7", documents=("notes/c.md",))
