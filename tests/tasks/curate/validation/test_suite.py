"""The user's file of expectations, as far as it is read without Great Expectations."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from storage.errors import InputError
from tasks.curate.config import ValidationConfig
from tasks.curate.validation.rules import fingerprint
from tasks.curate.validation.suite import load_suite

GOOD = """
- expectation: expect_column_values_to_not_be_null
  kwargs: {column: title}
  reason: needs a title
- expectation: expect_column_values_to_be_between
  kwargs: {column: timestamp, min_value: 2020-01-01}
"""


def config_of(folder: Path, text: str, name: str = "rules.yaml") -> ValidationConfig:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return ValidationConfig(expectations=path)


def test_entries_follow_the_default_rules(tmp_path: Path) -> None:
    own = load_suite(config_of(tmp_path, GOOD)).rules[-2:]
    assert [rule.name for rule in own] == [
        "expect_column_values_to_not_be_null:title",
        "expect_column_values_to_be_between:timestamp",
    ]
    assert own[0].reason == "needs a title"
    assert own[1].reason == "fails expect_column_values_to_be_between"
    assert own[1].kwargs["min_value"] == datetime(2020, 1, 1, tzinfo=UTC)
    assert own[1].origin == f"{tmp_path / 'rules.yaml'}, entry 2"


def test_an_entry_may_find_defects_or_only_flag(tmp_path: Path) -> None:
    entry = "- {expectation: expect_column_values_to_not_be_null, kwargs: {column: title}"
    text = f"{entry}}}\n{entry}, defect: true}}\n{entry}, action: flag}}\n{entry}, action: refuse, defect: false}}\n"
    own = load_suite(config_of(tmp_path, text)).rules[-4:]
    assert [(rule.defect, rule.action) for rule in own] == [
        (False, "refuse"),
        (True, "refuse"),
        (False, "flag"),
        (False, "refuse"),
    ]


def test_json_and_exported_suites_are_read(tmp_path: Path) -> None:
    entry = {
        "type": "expect_column_values_to_not_be_null",
        "kwargs": {"column": "title"},
        "meta": {"reason": "r"},
        "id": "x",
    }
    suite = load_suite(config_of(tmp_path, json.dumps({"name": "s", "expectations": [entry]}), "suite.json"))
    assert (suite.rules[-1].expectation, suite.rules[-1].reason) == ("expect_column_values_to_not_be_null", "r")


def test_equal_entries_get_names_of_their_own(tmp_path: Path) -> None:
    entry = "- {expectation: expect_column_values_to_match_regex, kwargs: {column: title, regex: a}}\n"
    names = [rule.name for rule in load_suite(config_of(tmp_path, entry * 2)).rules[-2:]]
    assert names == ["expect_column_values_to_match_regex:title", "expect_column_values_to_match_regex:title#2"]


def test_the_content_of_the_file_enters_the_fingerprint_and_its_place_does_not(tmp_path: Path) -> None:
    first = config_of(tmp_path, GOOD, "a.yaml")
    moved = config_of(tmp_path, f"# a comment\n{GOOD}", "b.yml")
    changed = config_of(tmp_path, GOOD.replace("2020", "2021"), "c.yaml")
    prints = [fingerprint(config, load_suite(config)) for config in (first, moved, changed, ValidationConfig())]
    assert prints[0] == prints[1]
    assert len(set(prints)) == 3


def test_a_condition_brings_its_columns(tmp_path: Path) -> None:
    text = """
- expectation: expect_column_values_to_not_be_null
  kwargs: {column: title, row_condition: 'chars > 100', condition_parser: pandas}
"""
    assert load_suite(config_of(tmp_path, text)).rules[-1].columns == ("title", "chars")


REDACT = "- {{expectation: expect_column_values_to_not_match_regex, action: redact, kwargs: {{{}}}}}"
LAUGHS = "a0: &a0 [lol]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10))
LAUGHS += "expectations: *a9\n"


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("- 1: [", "rules.yaml", "is not valid YAML"),
        ("[{]", "rules.json", "is not valid JSON: Expecting property name enclosed in double quotes: line 1"),
        ("- a", "rules.yaml", "entry 1: is 'a', not a mapping"),
        ("a: 1", "rules.yaml", "holds no list of entries"),
        ("", "rules.yaml", "holds no list of entries"),
        ("- {expectaton: x}", "rules.yaml", "entry 1: unknown key 'expectaton'; valid are expectation, kwargs"),
        ("- {kwargs: {}}", "rules.yaml", "entry 1: names no expectation"),
        ("- {expectation: e, kwargs: [1]}", "rules.yaml", "entry 1: kwargs is [1], not a mapping"),
        ("- {expectation: e, kwargs: {column: titel}}", "rules.yaml", "entry 1: unknown column 'titel'; valid are id,"),
        ("- {expectation: e, kwargs: {column: metadata.}}", "rules.yaml", "unknown column 'metadata.'"),
        ("- {expectation: e, kwargs: {column_list: [id, b]}}", "rules.yaml", "entry 1: unknown column 'b'"),
        ("- {expectation: e, kwargs: {column: id, mostly: 0.9}}", "rules.yaml", "entry 1: `mostly` has no use"),
        ("- {expectation: e, name: readable}", "rules.yaml", "entry 1: the name 'readable' is taken"),
        ("- {expectation: e, action: redact}", "rules.yaml", "entry 1: action 'redact' needs to know what to take out"),
        (REDACT.format("column: licence, regex: x"), "rules.yaml", "on the column text or title, without"),
        (REDACT.format("column: text, regex_list: x"), "rules.yaml", "entry 1: action 'redact' needs"),
        (REDACT.format("column: text, regex: x, row_condition: chars > 3"), "rules.yaml", "without a row_condition"),
        (
            REDACT.format("column: text, regex: '(?=x)y'"),
            "rules.yaml",
            "'(?=x)y' cannot be applied: look-around",
        ),
        (REDACT.format("column: title, regex: 'x*'"), "rules.yaml", "'x*' matches where nothing stands"),
        (
            "- {expectation: e, action: drop}",
            "rules.yaml",
            "entry 1: unknown action 'drop'; valid are refuse, flag and",
        ),
        ("- {expectation: e, defect: 'yes'}", "rules.yaml", "entry 1: defect is 'yes'; write true"),
        ("- {expectation: e, defect: true, action: flag}", "rules.yaml", "entry 1: a rule that flags refuses nothing"),
        ("x", "rules.txt", "are read from .yaml, .yml and .json"),
        (LAUGHS, "rules.yaml", "holds over 100,000 values once its aliases are followed"),
        ("&a [*a]", "rules.yaml", "holds over 100,000 values once its aliases are followed"),
        ("[" * 3_000, "rules.yaml", "is nested too deep to be read"),
        ("[" * 100_000, "rules.json", "is nested too deep to be read"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place(tmp_path: Path, text: str, name: str, message: str) -> None:
    with pytest.raises(InputError) as refusal:
        load_suite(config_of(tmp_path, text, name))
    assert message in str(refusal.value)
    assert str(tmp_path / name) in str(refusal.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.yaml: cannot read the expectations: No such file"):
        load_suite(ValidationConfig(expectations=tmp_path / "nowhere.yaml"))


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_bytes(b"- \xff")
    with pytest.raises(InputError, match="is not UTF-8"):
        load_suite(ValidationConfig(expectations=path))


@pytest.mark.parametrize(
    ("kwargs", "told"),
    [
        ("{column: title, regex: '(?=a)b'}", r"the pattern '\(\?=a\)b' cannot be applied: look-around"),
        (
            "{column: title, regex: '(a)\\1'}",
            "backreferences are not supported. Patterns are those of",
        ),
        ("{column: title, regex_list: ['a', '(b']}", r"the pattern '\(b' cannot be applied: unclosed group"),
        ("{column: metadata, json_schema: {properties: {a: {pattern: '^(a+)+$'}}}}", "the JSON schema has 'pattern'"),
        (
            "{column: title, regex: a, row_condition: 'title.str.match(\"^(a+)+$\")'}",
            "row_condition calls a method of texts",
        ),
    ],
)
def test_a_pattern_that_may_never_end_is_refused_with_the_reason(tmp_path: Path, kwargs: str, told: str) -> None:
    entry = f"- {{expectation: expect_column_values_to_match_regex, kwargs: {kwargs}}}\n"
    (tmp_path / "rules.yaml").write_text(entry)
    with pytest.raises(InputError, match=f"rules.yaml, entry 1: .*{told}"):
        load_suite(ValidationConfig(expectations=tmp_path / "rules.yaml"))
