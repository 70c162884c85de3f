"""What Great Expectations answers, and how it is read."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.errors import InputError
from tasks.curate.validation.expectations import ExpectationRunner, configured_once, error_of, import_gx, read
from tasks.curate.validation.rules import Rule

TITLED = Rule("titled", 1, "expect_column_values_to_not_be_null", {"column": "title"}, "")
UNIQUE = Rule("unique", 1, "expect_column_values_to_be_unique", {"column": "title"}, "")
MEAN = Rule("mean", 1, "expect_column_mean_to_be_between", {"column": "chars", "max_value": 1}, "")


@pytest.mark.parametrize(
    ("info", "message"),
    [
        (None, None),
        ({"raised_exception": False, "exception_message": None}, None),
        ({"raised_exception": True, "exception_message": "broken"}, "broken"),
        ({"('column.mean', 1)": {"raised_exception": True, "exception_message": "deep"}}, "deep"),
    ],
)
def test_an_exception_is_found_at_either_depth(info: dict[str, object] | None, message: str | None) -> None:
    assert error_of(info) == message


def test_expectations_that_compare_rows_judge_the_batch() -> None:
    runner = ExpectationRunner([TITLED, UNIQUE, MEAN])
    assert [runner.per_row(rule) for rule in (TITLED, UNIQUE, MEAN)] == [True, False, False]


def test_findings_are_keyed_by_rule_and_name_rows_by_number() -> None:
    table = pd.DataFrame({"row": [7, 8, 9], "title": ["a", None, "a"], "chars": [1, 2, 3]})
    findings = ExpectationRunner([MEAN, UNIQUE, TITLED]).judge(table, [MEAN, UNIQUE, TITLED])
    assert dict(findings["titled"].unexpected) == {8: None}
    assert dict(findings["unique"].unexpected) == {7: None, 9: None}
    assert (findings["mean"].observed, findings["mean"].success) == (2.0, False)


@given(st.lists(st.tuples(st.none() | st.sampled_from(["a", "b", "long title"]), st.integers(0, 3)), min_size=1))
@settings(deadline=None, max_examples=15)
def test_rules_that_hold_are_told_as_if_every_row_had_been_named(rows: list[tuple[str | None, int]]) -> None:
    table = pd.DataFrame(rows, columns=["title", "chars"])
    table["row"] = range(10, 10 + len(rows))
    short = Rule("short", 1, "expect_column_value_lengths_to_be_between", {"column": "title", "max_value": 3}, "")
    mostly = Rule("mostly", 1, short.expectation, {**short.kwargs, "mostly": 0.1}, "")
    odd = Rule("odd", 1, "expect_column_mean_to_be_between", {"column": "title", "max_value": 1}, "")
    rules = [TITLED, UNIQUE, MEAN, short, mostly, odd]
    runner = ExpectationRunner(rules)
    whole = {"result_format": "COMPLETE", "unexpected_index_column_names": ["row"]}
    expected = {name: read(result, len(table)) for name, result in runner.ask(table, rules, whole).items()}
    found = runner.run(table, rules)
    for name, finding in expected.items():
        assert replace(found[name], error=None) == replace(finding, error=None), name
        assert (found[name].error is None) == (finding.error is None), name


def test_an_expectation_that_needs_scipy_gets_it() -> None:
    partition = {"values": ["a", "b"], "weights": [0.5, 0.5]}
    kwargs = {"column": "title", "partition_object": partition, "threshold": 0.01}
    rule = Rule("mixed", 1, "expect_column_kl_divergence_to_be_less_than", kwargs, "")
    finding = ExpectationRunner([rule]).judge(pd.DataFrame({"row": [0, 1], "title": ["a", "b"]}), [rule])["mixed"]
    assert (finding.error, finding.success, finding.observed) == (None, True, 0.0)


def test_a_rule_that_cannot_be_applied_is_named() -> None:
    rule = Rule(
        "bad", 1, "expect_column_values_to_match_regex", {"column": "title", "regex": "("}, "", "e.yaml, entry 3"
    )
    with pytest.raises(InputError, match=r"e\.yaml, entry 3: expect_column_values_to_match_regex cannot be applied"):
        ExpectationRunner([rule]).judge(pd.DataFrame({"row": [0], "title": ["a"]}), [rule])


def test_a_configuration_is_made_once_where_nothing_changes_and_anew_where_it_may() -> None:
    expectation = import_gx().expectations.ExpectColumnValuesToNotBeNull(column="title")
    with configured_once():
        assert expectation.configuration is expectation.configuration
        first = expectation.configuration
    expectation.column = "text"
    assert expectation.configuration is not expectation.configuration
    assert (first.kwargs["column"], expectation.configuration.kwargs["column"]) == ("title", "text")
    with configured_once():
        assert expectation.configuration.kwargs["column"] == "text"
