"""What people decide of refused documents, night after night."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from corpus import configure, documents, found, held, night, prose, save

from flows.config.schema import Config
from flows.plan import plan
from flows.quarantine import listed, retry, show, unwaive, waive
from flows.report.gather import gather
from storage.errors import InputError
from storage.explain import explain
from storage.pinned import Pinned

SHORT = "# A\n\nShort, and good.\n"
RULES = {"min_chars": 40}


def configured(base: Path, **rules: Any) -> Config:
    return configure(base, validation=RULES | rules)


@pytest.fixture
def refused(tmp_path: Path) -> Config:
    """A release, and one document that is too short for it."""
    config = configured(tmp_path)
    save(tmp_path / "notes", {"long.md": prose("long"), "short.md": SHORT})
    assert night(config).release == 1
    assert held(config) == [("short.md", "content-length", 1)]
    return config


def effects(config: Config) -> list[tuple[str, str, str]]:
    return [(row["document"], row["rule"], row["effect"]) for row in listed(config).waivers]


def test_a_waived_document_is_indexed_by_the_next_refresh_and_everybody_is_told(refused: Config) -> None:
    result = waive(refused, "short.md", None, "the glossary is short")
    assert result.message == "the next refresh lets short.md past content-length, unless another rule refuses it"
    (row,) = listed(refused).rows
    assert row["waiver"]["why"] == "the glossary is short"
    assert effects(refused) == [("short.md", "content-length", "next-refresh")]
    (change,) = plan(refused).documents
    assert (change["change"], change["document"], change["rule"]) == ("+", "short.md", "content-length")
    assert change["reason"] == result.waivers[0].told
    published = night(refused)
    assert (published.release, published.counts["added"], published.counts["quarantined"]) == (2, 1, 0)
    assert (held(refused), effects(refused)) == ([], [("short.md", "content-length", "in-force")])
    (hit,) = found(refused, "Short, and good.", 1)
    (told,) = explain(Pinned.open(refused.store.uri), hit.chunk)["waivers"]
    assert (told["rule"], told["why"]) == ("content-length", "the glossary is short")
    (named,) = gather(refused).waived
    assert (named.document, "the glossary is short" in named.note) == ("short.md", True)
    assert night(refused).outcome == "unchanged"


def test_a_waiver_outlives_a_touch_and_no_other_content(refused: Config, tmp_path: Path) -> None:
    waive(refused, "short.md", "content-length", "why not")
    night(refused)
    file = tmp_path / "notes" / "short.md"
    os.utime(file, (1, 1))
    assert night(refused).outcome == "unchanged"
    assert "notes/short.md" in documents(refused)
    file.write_text("# B\n\nShort, another.\n")
    night(refused)
    assert (held(refused), effects(refused)) == (
        [("short.md", "content-length", 1)],
        [("short.md", "content-length", "content-changed")],
    )
    assert night(refused).outcome == "unchanged"  # it is not judged every night for a waiver without effect
    assert held(refused) == [("short.md", "content-length", 1)]
    file.write_text(SHORT)  # what was waived came back
    assert night(refused).counts["added"] == 1


def test_a_waiver_ends_with_its_rule_and_outlives_a_change_of_others(refused: Config, tmp_path: Path) -> None:
    waive(refused, "short.md", None, "why not")
    night(refused)
    assert night(configured(tmp_path, language_min_chars=39)).outcome != "failed"
    assert "notes/short.md" in documents(refused)
    other = configured(tmp_path, min_chars=41)
    night(other)
    assert (held(other), effects(other)[0][2]) == ([("short.md", "content-length", 1)], "rule-changed")
    assert "notes/short.md" not in documents(other)


def test_a_waiver_that_is_taken_back_has_the_document_judged_again(refused: Config) -> None:
    waive(refused, "short.md", None, "why not")
    night(refused)
    with pytest.raises(InputError, match=r"nothing is waived for 'long\.md'"):
        unwaive(refused, "long.md")
    (lifted,) = unwaive(refused, "short.md").waivers
    assert lifted.ended_by
    assert night(refused).release == 3
    assert (held(refused), effects(refused)) == ([("short.md", "content-length", 1)], [])
    assert "notes/short.md" not in documents(refused)


def test_a_document_is_found_by_the_name_that_a_plan_prints(refused: Config) -> None:
    name = "notes/short.md"
    assert [row["document"] for row in (*show(refused, name), *retry(refused, [name]))] == ["short.md", "short.md"]
    waive(refused, name, None, "why not")
    (lifted,) = unwaive(refused, name).waivers
    assert lifted.document == "short.md"
    with pytest.raises(InputError, match=r"no document 'other/short\.md' is refused; did you mean 'short\.md'"):
        show(refused, "other/short.md")


def test_of_two_rules_each_is_waived_by_itself(tmp_path: Path) -> None:
    config = configured(tmp_path)
    save(tmp_path / "notes", {"a.md": b"Bell \x07."})
    night(config, accept_empty=True)
    assert held(config) == [("a.md", "content-length", 1)]
    told = waive(config, "a.md", "no-control-characters", "a bell").message
    assert told.endswith("content-length refuses all the same")
    night(config, accept_empty=True)
    assert (held(config), effects(config)[0][2]) == ([("a.md", "content-length", 2)], "refused-by-another-rule")
    waive(config, "a.md", None, "short too")
    assert night(config).counts["added"] == 1


def test_what_is_asked_for_again_is_tried_once_more_and_not_every_night(refused: Config) -> None:
    assert night(refused).outcome == "unchanged"
    assert held(refused)[0][2] == 1
    (row,) = retry(refused, rule="content-length")
    assert row["document"] == "short.md"
    for _ in range(2):
        assert night(refused).outcome == "unchanged"
        assert held(refused)[0][2] == 2
    retry(refused, ["short.md"], source="notes")
    night(refused)
    assert held(refused)[0][2] == 3
    for wrong in ({"documents": ["none.md"]}, {"rule": "licence-allowed"}, {}):
        with pytest.raises(InputError, match=r"is refused|name what"):
            retry(refused, **wrong)


def test_a_refused_document_is_shown_with_its_file_and_what_can_be_done(refused: Config, tmp_path: Path) -> None:
    (row,) = show(refused, "short.md")
    assert (row["excerpt"], row["file"], row["line"]) == (SHORT.strip(), str(tmp_path / "notes" / "short.md"), None)
    assert [way.partition(":")[0] for way in row["remedies"]] == [
        "mend the document, or exclude it",
        "change validation.min_chars and validation.max_chars",
        "let it in as it is",
    ]
    assert show(refused, row["key"][:8])[0]["document"] == "short.md"
    for wrong, said in (("shrt.md", "did you mean 'short.md'"), ("x" * 9, "quarantine list")):
        with pytest.raises(InputError, match=said):
            show(refused, wrong)


def test_a_row_of_a_table_is_shown_with_its_line(tmp_path: Path) -> None:
    table = {"name": "log", "kind": "jsonl", "path": "log.jsonl"}
    rows = [{"id": "a", "text": prose("a")}, {"id": "b", "text": "short"}]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + "{torn\n")
    config = configure(tmp_path, sources=[table], validation=RULES)
    night(config)
    assert [(row["file"], row["line"]) for name in ("b", "log.jsonl#L3") for row in show(config, name)] == [
        (str(tmp_path / "log.jsonl"), 2),
        (str(tmp_path / "log.jsonl"), 3),
    ]
    with pytest.raises(InputError, match="rule 'readable' cannot be waived: mend what its reason names"):
        waive(config, "log.jsonl#L3", None, "why not")
    with pytest.raises(InputError, match="no rule 'content-lenght' refuses anything; did you mean 'content-length'"):
        waive(config, "b", "content-lenght", "why not")
    with pytest.raises(InputError, match="a waiver needs a reason"):
        waive(config, "b", None, " ")
    assert [row["document"] for row in listed(config, "log").rows] == ["log.jsonl#L3", "b"]
    with pytest.raises(InputError, match="no source 'none'; there are log"):
        listed(config, "none")
