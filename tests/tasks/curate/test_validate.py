"""What the rules let in, and which refused documents keep the version that the index holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from corpus import Scripted, configure, context, prepared, prose, save

from flows.refresh import refresh
from storage.hashing import document_key
from tasks.curate.validate import validate
from tasks.curate.validation import load_suite
from tasks.ingest.plan import plan
from tasks.ingest.read import read
from tasks.ingest.scan import scan


def test_a_night_is_sorted_into_accepted_refused_touched_and_vanished(tmp_path: Path) -> None:
    def item(name: str, text: str | None = None, **facts: Any) -> dict[str, Any]:
        return {"id": name, "text": prose(name) if text is None else text, **facts}

    config = configure(tmp_path, sources=[Scripted.config()])
    names = ["content", "gone", "lost", "metadata", "same", "spoiled", "touched", "unwanted"]
    Scripted.write(tmp_path / "script.json", [item(name) for name in names])
    refresh(config)
    changed = [
        item("content", "Another text.", revision="r2"),
        item("lost", "", revision="r2", problem="permission denied"),
        item("metadata", title="A title", revision="r2"),
        item("new"),
        item("same"),
        item("spoiled", "\x01", revision="r2"),
        item("unwanted", "x" * 5_000_001, revision="r2"),
        item("touched", revision="r2", timestamp="2026-01-01T00:00:00+00:00"),
        item("vanished"),
    ]
    listed = [row | {"problem": None} for row in changed]
    Scripted.write(tmp_path / "script.json", listed, [[row for row in changed if row["id"] != "vanished"]])

    with context(config) as shared:
        done = prepared(shared, config)
        validated = done.validated
        accepted = {row["id"]: row["cause"] for part in validated.accepted.slices() for row in part.to_dicts()}

    assert accepted == {"content": "content", "metadata": "metadata", "new": "new"}
    assert validated.causes == {"content": 1, "metadata": 1, "new": 1}
    key = {row["id"]: document_key("script", row["id"]) for row in listed}
    assert validated.refused.select("document", "rule", "reason").sort("document").rows() == [
        ("lost", "readable", "permission denied"),
        ("spoiled", "no-control-characters", "holds 1 control characters, the first is U+0001 at character 0"),
        ("unwanted", "content-length", "has 5,000,001 characters; allowed are 1 to 5,000,000"),
    ]
    assert validated.refused.sort("document")["defect"].to_list() == [True, True, False]
    assert sorted(validated.stale) == sorted([key["lost"], key["spoiled"]])
    assert (validated.unwanted.to_list(), validated.unreadable) == ([key["unwanted"]], 1)
    assert (validated.judged, done.reading.counts["vanished"]) == (6, 1)
    assert validated.counts == {"accepted": 3, "refused": 3, "stale": 2, "flagged": 0}


def test_a_night_without_candidates_asks_no_judge(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor")})
    refresh(config)
    with context(config) as shared:
        validated = prepared(shared, config).validated
    assert (validated.verdict, validated.judged, validated.counts) == (
        None,
        0,
        {"accepted": 0, "refused": 0, "stale": 0, "flagged": 0},
    )


def test_a_version_that_the_index_holds_already_and_that_new_rules_find_broken_does_not_stay(tmp_path: Path) -> None:
    rule = (
        "- {expectation: expect_column_values_to_not_match_regex, kwargs: {column: text, regex: chart}, defect: true}"
    )
    save(tmp_path, {"rules.yaml": rule})
    refresh(configure(tmp_path, {"a.md": prose("chart"), "b.md": prose("buoy"), "c.md": prose("dock")}))
    save(tmp_path / "notes", {"c.md": prose("chart") + " again"})
    config = configure(tmp_path, validation={"expectations": "rules.yaml"})
    with context(config) as shared:
        reading = read(shared, plan(shared, scan(shared)))
        validated = validate(shared, load_suite(config.validation), reading)
    assert validated.unwanted.to_list() == [document_key("notes", "a.md")]
    assert validated.stale.to_list() == [document_key("notes", "c.md")]


def test_a_rule_that_flags_lets_rows_in_and_counts_them(tmp_path: Path) -> None:
    rule = "- {expectation: expect_column_values_to_not_match_regex, kwargs: {column: text, regex: chart}, name: charts"
    save(tmp_path, {"rules.yaml": rule + ", action: flag}"})
    config = configure(
        tmp_path, {"a.md": prose("chart"), "b.md": prose("buoy")}, validation={"expectations": "rules.yaml"}
    )
    with context(config) as shared:
        validated = validate(shared, load_suite(config.validation), read(shared, plan(shared, scan(shared))))
    assert (validated.flagged, validated.counts["accepted"], validated.refused.height) == ({"charts": 1}, 2, 0)
    assert validated.verdict is not None
    assert validated.verdict.ok
    result = refresh(config)
    assert (result.outcome, result.counts["flagged"]) == ("published", 1)
    assert "charts: expect_column_values_to_not_match_regex" in page(tmp_path)
    assert "(flags only)" in page(tmp_path)


def page(base: Path) -> str:
    return (base / "store" / "data_docs" / "index.html").read_text()
