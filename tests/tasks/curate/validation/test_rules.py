"""What the validation rules say of themselves: order, versions, fingerprint."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import ValidationError

from tasks.curate.config import FIXED, SETTABLE, ValidationConfig
from tasks.curate.validation.features import DOCUMENTS, FEATURES
from tasks.curate.validation.rules import (
    Rule,
    Suite,
    default_rules,
    fingerprint,
    shorten,
)

EVERYTHING = ValidationConfig(licences=("MIT",), languages=("en",))


def suite_of(config: ValidationConfig) -> Suite:
    return Suite(config, tuple(default_rules(config)))


def test_the_default_suite_reports_the_cause_before_its_consequences() -> None:
    assert [rule.name for rule in default_rules(EVERYTHING)] == [
        "readable",
        "id-present",
        "id-unique",
        "id-length",
        "content-present",
        "content-length",
        "valid-utf8",
        "no-control-characters",
        "timestamp-readable",
        "no-invisible-characters",
        "no-hidden-text",
        "timestamp-not-before-1970",
        "timestamp-not-in-future",
        "licence-allowed",
        "language-allowed",
    ]


def test_lists_that_are_not_set_make_no_rule() -> None:
    names = [rule.name for rule in default_rules(ValidationConfig())]
    assert "licence-allowed" not in names
    assert "language-allowed" not in names


def test_every_rule_reads_columns_that_exist() -> None:
    assert set(suite_of(EVERYTHING).columns) <= {*DOCUMENTS, *FEATURES}


@pytest.mark.parametrize(
    "change",
    [
        {"min_chars": 2},
        {"max_chars": 10},
        {"licences": ("MIT", "0BSD")},
        {"licences": None},
        {"unlicensed": True},
        {"languages": ("en", "de")},
        {"languages": None},
        {"language_min_chars": 41},
        {"language_min_score": 0.6},
        {"rules": {"valid-utf8": "flag"}},
    ],
)
def test_each_parameter_enters_the_fingerprint(change: dict[str, object]) -> None:
    changed = EVERYTHING.model_copy(update=change)
    assert fingerprint(changed, suite_of(changed)) != fingerprint(EVERYTHING, suite_of(EVERYTHING))


def test_the_fingerprint_test_covers_every_field() -> None:
    covered = {"min_chars", "max_chars", "licences", "unlicensed", "languages"}
    covered |= {"language_min_chars", "language_min_score", "rules", "expectations"}
    assert set(ValidationConfig.model_fields) == covered


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"version": 2},
        {"expectation": "expect_column_values_to_be_null"},
        {"kwargs": {"column": "chars", "min_value": 2}},
        {"reason": "another"},
        {"defect": True},
        {"action": "flag"},
    ],
)
def test_each_part_of_a_rule_enters_the_fingerprint(change: dict[str, object]) -> None:
    rule = Rule("r", 1, "expect_column_values_to_be_between", {"column": "chars", "min_value": 1}, "is short")
    config = ValidationConfig()
    before = fingerprint(config, Suite(config, (rule,)))
    assert fingerprint(config, Suite(config, (replace(rule, **change),))) != before  # type: ignore[arg-type]


def test_the_fingerprint_of_the_default_rules_changes_with_a_release_of_the_rules_alone() -> None:
    plain = ValidationConfig()
    assert fingerprint(plain, suite_of(plain)) == "0b35d3a2d11fcd9bc0c51a7d9253d36b"
    assert fingerprint(EVERYTHING, suite_of(EVERYTHING)) == "580ae13de3765a0c27e98b582b72f37b"


def test_a_default_rule_that_turns_from_defect_to_policy_enters_the_fingerprint() -> None:
    suite = suite_of(EVERYTHING)
    softer = Suite(EVERYTHING, tuple(replace(rule, defect=False) for rule in suite.rules))
    assert fingerprint(EVERYTHING, softer) != fingerprint(EVERYTHING, suite)


def test_what_breaks_a_document_is_a_defect_and_what_nobody_wants_is_not() -> None:
    policies = [rule.name for rule in default_rules(EVERYTHING) if not rule.defect]
    flagging = [
        "timestamp-readable",
        "no-invisible-characters",
        "no-hidden-text",
        "timestamp-not-before-1970",
        "timestamp-not-in-future",
    ]
    assert policies == ["id-unique", "id-length", "content-length", *flagging, "licence-allowed", "language-allowed"]
    assert [rule.name for rule in default_rules(EVERYTHING) if rule.action == "flag"] == flagging


def test_a_default_rule_can_be_off_or_a_flag_one_by_one() -> None:
    settings = {"no-control-characters": "flag", "timestamp-not-in-future": "refuse", "content-length": "off"}
    config = ValidationConfig(rules=settings)
    rules = {rule.name: rule for rule in default_rules(config)}
    assert "content-length" not in rules
    assert [(rules[name].action, rules[name].defect) for name in settings if name in rules] == [
        ("flag", False),
        ("refuse", True),
    ]
    everything = {name for name in SETTABLE if not name.endswith("-allowed")}
    assert [rule.name for rule in default_rules(ValidationConfig(rules=dict.fromkeys(everything, "off")))] == [*FIXED]
    assert {rule.name for rule in default_rules(EVERYTHING)} == {*FIXED, *SETTABLE}


def test_the_fingerprint_is_the_same_for_equal_rules() -> None:
    assert fingerprint(EVERYTHING, suite_of(EVERYTHING)) == fingerprint(EVERYTHING, suite_of(EVERYTHING))


def test_a_rules_identity_changes_with_its_arguments_and_not_with_its_words() -> None:
    rule = Rule("r", 1, "expect_column_values_to_be_between", {"column": "chars", "min_value": 1}, "is short")
    assert replace(rule, reason="too short").identity == rule.identity
    assert replace(rule, kwargs={"column": "chars", "min_value": 2}).identity != rule.identity
    assert replace(rule, version=2).identity != rule.identity


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"min_chars": 10, "max_chars": 9}, "max_chars (9) is below min_chars (10)"),
        ({"languages": ("english",)}, "'english' is no ISO 639 code"),
        ({"minimum": 1}, "minimum"),
        (
            {"rules": {"no-controls": "off"}},
            "there is no default rule 'no-controls'; there are id-length, content-length",
        ),
        ({"rules": {"readable": "off"}}, "'readable' always refuses"),
        ({"rules": {"valid-utf8": "redact"}}, "refuse"),
        ({"min_chars": 0}, "min_chars"),
    ],
)
def test_a_wrong_configuration_is_refused_by_name(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        ValidationConfig.model_validate(values)
    assert message in str(refusal.value)


def test_every_field_is_described() -> None:
    assert all(field.description for field in ValidationConfig.model_fields.values())


def test_a_users_reason_is_no_template() -> None:
    rule = Rule(
        "r", 1, "expect_column_values_to_not_be_null", {"column": "title"}, "{needs} a title", "e.yaml, entry 1"
    )
    assert rule.explain({"title": None}) == "{needs} a title (title is null)"


def test_long_values_are_shortened() -> None:
    assert shorten("a" * 200) == '"' + "a" * 79 + "..."
