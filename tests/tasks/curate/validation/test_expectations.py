"""What Great Expectations answers, and how it is read."""

from __future__ import annotations

import pandas as pd
import pytest

from storage.errors import InputError
from tasks.curate.validation.expectations import ExpectationRunner, configured_once, error_of, import_gx
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
