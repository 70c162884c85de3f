"""A rule that redacts: what it finds is in no table, no hash and no answer, and its document is indexed."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from corpus import configure, counted, documents, found, night, prose, rows, save
from hypothesis import given
from hypothesis import strategies as st

from flows.audit import audit
from flows.config.schema import Config
from flows.plan import plan
from flows.refresh import refresh
from storage.tables.quarantine import Quarantine
from storage.tables.store import Store
from tasks.ingest.redact import MARK, Redaction, redact

MAIL = r"[\w.]+@[\w.]+\w"
RULES = {
    "expectation": "expect_column_values_to_not_match_regex",
    "name": "no-mail",
    "action": "redact",
    "kwargs": {"column": "text", "regex": MAIL},
}


def ruled(base: Path, *rules: dict[str, object]) -> Config:
    """A folder of notes under some rules of its own."""
    (base / "rules.json").write_text(json.dumps(rules))
    return configure(base, validation={"expectations": "rules.json"})


def written(config: Config) -> str:
    """Every text that the tables hold, of chunks, documents and quarantine."""
    kept = Quarantine(Store(config.store.uri)).all()
    return str([row["text"] for row in rows(config)] + list(documents(config).values()) + list(kept))


def test_what_a_rule_redacts_is_nowhere_and_its_document_is_indexed(tmp_path: Path) -> None:
    save(
        tmp_path / "notes",
        {"a.md": f"{prose('a')} Write to ann.lee@tide.example, or bob@tide.example.", "b.md": prose("b")},
    )
    config = ruled(tmp_path, RULES)
    forecast, first = plan(config), night(config)
    assert (counted(first), first.counts["redacted"], forecast.counts["redacted"]) == ({"added": 2}, 1, 1)
    assert "tide.example" not in written(config)
    assert f"Write to {MARK}, or {MARK}." in documents(config)["notes/a.md"]["text"]
    assert MARK in found(config, "Write to whom?", 1)[0].text
    assert audit(config, deep=True).ok  # the deep one reads the sources again
    assert night(config).outcome == "unchanged"


def test_a_kept_plan_knows_what_was_redacted(tmp_path: Path) -> None:
    save(tmp_path / "notes", {"a.md": f"{prose('a')} ann@tide.example", "b.md": prose("b")})
    config, file = ruled(tmp_path, RULES), str(tmp_path / "night.plan")
    assert plan(config, out=file).counts["redacted"] == 1
    assert refresh(config, plan=file).counts["redacted"] == 1
    assert "tide.example" not in written(config)


def test_another_redaction_is_a_change_of_what_it_touches_alone(tmp_path: Path) -> None:
    save(tmp_path / "notes", {"a.md": f"{prose('a')} ann@tide.example", "b.md": prose("b")})
    assert night(ruled(tmp_path)).counts["redacted"] == 0
    redacting = night(ruled(tmp_path, RULES))
    assert counted(redacting) == {"changed": 1, "unchanged": 1}
    assert redacting.counts["embedded"] < redacting.counts["chunks"]
    assert counted(night(ruled(tmp_path))) == {"changed": 1, "unchanged": 1}
    assert "ann@tide.example" in written(ruled(tmp_path))


def test_the_excerpt_of_a_refused_document_is_redacted_too(tmp_path: Path) -> None:
    save(tmp_path / "notes", {"a.md": "ann@tide.example \x01", "b.md": prose("b")})
    config = ruled(tmp_path, RULES)
    assert night(config).counts["quarantined"] == 1
    assert "tide.example" not in written(config)


@given(
    st.lists(st.text(st.characters(codec="utf-8"), max_size=40), max_size=6),
    st.sampled_from([MAIL, "[0-9]+", "a", r"\n+"]),
)
def test_a_redaction_changes_what_matches_alone_and_tells_where(texts: list[str], pattern: str) -> None:
    frame = pl.DataFrame({"text": texts, "title": texts}, schema={"text": pl.String, "title": pl.String})
    once = redact(frame, [Redaction("r", "text", (pattern,))])
    assert once["title"].to_list() == texts
    assert [bool(names) for names in once["redacted"].to_list()] == [
        old != new for old, new in zip(texts, once["text"], strict=True)
    ]
    for old, new in zip(texts, once["text"], strict=True):
        kept = iter(old)  # what is left stands in the text in the same order
        assert all(character in kept for character in "".join(new.split(MARK)))


@pytest.mark.parametrize("pattern", ["(a+)+$", "(.*)*x", "(a|aa)+$"])
def test_a_pattern_without_end_elsewhere_takes_no_time_here(pattern: str) -> None:
    frame = pl.DataFrame(
        {"text": ["a" * 20_000 + "!"], "title": [None]}, schema={"text": pl.String, "title": pl.String}
    )
    assert redact(frame, [Redaction("r", "text", (pattern,))]).height == 1
