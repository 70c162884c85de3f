"""Verdicts on rows and batches, by Great Expectations itself."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.errors import InputError
from tasks.curate.config import ValidationConfig
from tasks.curate.validation.features import DOCUMENTS
from tasks.curate.validation.rules import Suite
from tasks.curate.validation.suite import load_suite
from tasks.curate.validation.validator import REFUSALS, BatchVerdict, RowVerdicts, Validator

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CONFIG = ValidationConfig(
    min_chars=3,
    max_chars=400,
    licences=("MIT", "Apache-2.0"),
    languages=("en", "de"),
    rules={"timestamp-not-before-1970": "refuse", "timestamp-not-in-future": "refuse"},
)
SUITE = load_suite(CONFIG)
FRENCH = "Le port était calme ce matin, et personne n'avait vu les bateaux partir pendant la nuit."


def documents(*changes: dict[str, Any]) -> pl.DataFrame:
    document = {
        "id": "a.md",
        "source": "notes",
        "key": "notes/a.md",
        "occurrence": 1,
        "text": "The harbour was quiet in the morning, and nobody had seen the boats leave.",
        "title": "Tides",
        "metadata": '{"year": 2020}',
        "licence": "MIT",
        "timestamp": NOW,
        "queries": [],
        "revision": "1",
        "problem": None,
    }
    return pl.DataFrame([document | change for change in changes], schema=DOCUMENTS)


def judged(frame: pl.DataFrame, suite: Suite) -> tuple[RowVerdicts, BatchVerdict]:
    judge = Validator(suite, NOW)
    verdicts = judge.rows(frame)
    return verdicts, judge.verdict()


def own_suite(folder: Path, text: str) -> Suite:
    path = folder / "rules.yaml"
    path.write_text(text, encoding="utf-8")
    return load_suite(ValidationConfig(expectations=path))


GOOD: list[dict[str, Any]] = [
    {},
    {"timestamp": None},
    {"timestamp": datetime(1970, 1, 1, tzinfo=UTC)},
    {"timestamp": NOW + timedelta(days=1)},
    {"licence": "apache-2.0"},
    {"text": "abc"},
    {"text": "a" * 400},
    {"text": "tab\tand\nline"},
    {"title": None},
]
BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"problem": "notes.jsonl, line 12: broken", "text": ""}, "readable", "notes.jsonl, line 12: broken"),
    ({"id": ""}, "id-present", "has no id: each document needs a unique one"),
    ({"id": None}, "id-present", "has no id: each document needs a unique one"),
    ({"occurrence": 3}, "id-unique", "id 'a.md' comes again in source 'notes' (occurrence 3): the first is kept"),
    ({"text": ""}, "content-present", "is empty after normalisation"),
    ({"text": " \n\u3000"}, "content-present", "is empty after normalisation"),
    ({"text": "ab"}, "content-length", "has 2 characters; allowed are 3 to 400"),
    ({"text": "a" * 401}, "content-length", "has 401 characters; allowed are 3 to 400"),
    ({"text": "né\ufffde"}, "valid-utf8", "1 undecodable places (U+FFFD), the first at character 2"),
    ({"text": "né\x0ce"}, "no-control-characters", "the first is U+000C at character 2"),
    ({"text": "né\x85e"}, "no-control-characters", "the first is U+0085 at character 2"),
    (
        {"timestamp": datetime(1969, 12, 31, 23, 59, tzinfo=UTC)},
        "timestamp-not-before-1970",
        "timestamp 1969-12-31 23:59 lies before 1970",
    ),
    (
        {"timestamp": NOW + timedelta(days=1, seconds=1)},
        "timestamp-not-in-future",
        "timestamp 2026-01-02 00:00 lies more than a day in the future",
    ),
    ({"licence": "GPL-3.0"}, "licence-allowed", "licence gpl-3.0 is not allowed; allowed are apache-2.0, mit"),
    ({"licence": None}, "licence-allowed", "licence (none) is not allowed"),
    ({"text": FRENCH}, "language-allowed", "language fr is not allowed; allowed are de, en"),
]


def test_each_wrong_input_is_refused_by_its_rule_alone() -> None:
    verdicts, verdict = judged(documents(*(change for change, _, _ in BAD)), SUITE)
    assert not verdicts.accepted.any()
    assert verdicts.refusals["rule"].to_list() == [rule for _, rule, _ in BAD]
    for (_, _, reason), told in zip(BAD, verdicts.refusals["reason"], strict=True):
        assert reason in told
    # as many failures as rows: no row fails a second rule
    assert sum(verdict.counts.values()) == len(BAD)
    assert verdict.ok


def test_good_documents_pass() -> None:
    verdicts, verdict = judged(documents(*GOOD), SUITE)
    assert verdicts.accepted.all()
    assert verdicts.refusals.schema == REFUSALS
    assert (verdict.rows, verdict.accepted, verdict.refused) == (len(GOOD), len(GOOD), 0)


def test_a_document_without_a_licence_passes_where_that_is_allowed() -> None:
    suite = load_suite(ValidationConfig(licences=("MIT",), unlicensed=True))
    assert judged(documents({"licence": None}, {"licence": "GPL-3.0"}), suite)[0].accepted.to_list() == [True, False]


def test_all_reasons_are_told_and_the_first_names_the_refusal() -> None:
    verdicts, _ = judged(documents({"id": "", "text": "\ufffd", "licence": "GPL-3.0"}), SUITE)
    refusal = verdicts.refusals.row(0, named=True)
    assert refusal["rule"] == "id-present"
    assert refusal["rule_version"] == next(rule.identity for rule in SUITE.rules if rule.name == "id-present")
    assert refusal["reason"] == (
        "has no id: each document needs a unique one; has 1 characters; allowed are 3 to 400; is not valid UTF-8: "
        "1 undecodable places (U+FFFD), the first at character 0; licence gpl-3.0 is not allowed; allowed are "
        "apache-2.0, mit"
    )


def test_no_failing_row_is_lost_among_many_and_across_slices() -> None:
    frame = pl.concat([documents({"text": ""})] * 10_300 + [documents({})] * 4)
    verdicts, verdict = judged(frame, SUITE)
    assert verdicts.refusals.height == verdict.counts["content-present"] == 10_300
    assert verdicts.accepted.to_list() == [False] * 10_300 + [True] * 4


def test_a_rule_names_the_first_documents_that_it_found() -> None:
    _, verdict = judged(documents(*({"id": f"{n}.md", "licence": "MIT" if n % 2 else "GPL"} for n in range(60))), SUITE)
    found = next(each for each in verdict.outcomes if each.rule.name == "licence-allowed")
    assert (found.unexpected, found.documents) == (30, tuple(f"notes/{n}.md" for n in range(0, 40, 2)))


def test_no_rows_are_judged_to_nothing() -> None:
    verdicts, verdict = judged(documents(), SUITE)
    assert (verdicts.accepted.len(), verdicts.refusals.height, verdict.rows) == (0, 0, 0)


changes = st.fixed_dictionaries(
    {},
    optional={
        "id": st.sampled_from(["a", "", None]),
        "occurrence": st.integers(1, 3),
        "text": st.text(max_size=20),
        "licence": st.sampled_from(["MIT", "X", None]),
        "timestamp": st.datetimes(
            datetime(1900, 1, 1),
            datetime(2200, 1, 1),
            timezones=st.just(UTC),
        ),
        "problem": st.sampled_from([None, "unreadable"]),
    },
)


@pytest.fixture(scope="module")
def shared() -> Validator:
    return Validator(SUITE, NOW)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(changes, min_size=1, max_size=12))
def test_every_row_is_accepted_or_refused_once(shared: Validator, rows: list[dict[str, Any]]) -> None:
    frame = documents(*rows).with_columns(key=pl.int_range(pl.len()).cast(pl.String))
    verdicts = shared.rows(frame)
    accepted = frame.filter(verdicts.accepted)["key"].to_list()
    assert sorted([*accepted, *verdicts.refusals["key"]]) == sorted(frame["key"])
    assert verdicts.refusals["reason"].str.len_chars().min() != 0


def test_a_users_expectations_refuse_rows(tmp_path: Path) -> None:
    suite = own_suite(
        tmp_path,
        """
- {expectation: expect_column_values_to_not_be_null, kwargs: {column: title}, reason: needs a title, name: titled}
- {expectation: expect_column_values_to_match_regex, kwargs: {column: id, regex: '\\.md$'}}
- {expectation: expect_column_values_to_be_between, kwargs: {column: timestamp, min_value: 2020-01-01}}
- {expectation: expect_column_values_to_be_in_set, kwargs: {column: language, value_set: [en]}}
- expectation: expect_column_values_to_not_be_null
  kwargs: {column: licence, row_condition: 'chars > 30', condition_parser: pandas}
- {expectation: expect_column_pair_values_to_be_equal, kwargs: {column_A: id, column_B: title}, name: pair}
""",
    )
    frame = documents(
        {"title": "a.md"},
        {"title": None},
        {"id": "a.txt", "title": "a.txt"},
        {"timestamp": datetime(2019, 1, 1, tzinfo=UTC), "title": "a.md"},
        {"text": FRENCH, "title": "a.md"},
        {"licence": None, "title": "a.md"},
        {"licence": None, "title": "a.md", "text": "brief"},
    )
    verdicts, _ = judged(frame, suite)
    assert dict(zip(verdicts.refusals["rule"], verdicts.refusals["reason"], strict=True)) == {
        "titled": (
            'needs a title (title is null); fails expect_column_pair_values_to_be_equal (id is "a.md", title is null)'
        ),
        "expect_column_values_to_match_regex:id": 'fails expect_column_values_to_match_regex (id is "a.txt")',
        "expect_column_values_to_be_between:timestamp": (
            'fails expect_column_values_to_be_between (timestamp is "2019-01-01 00:00:00+00:00")'
        ),
        "expect_column_values_to_be_in_set:language": 'fails expect_column_values_to_be_in_set (language is "fr")',
        "expect_column_values_to_not_be_null:licence:chars": (
            "fails expect_column_values_to_not_be_null (licence is null, chars is 74)"
        ),
    }


@pytest.mark.parametrize("kind", ["match_regex", "not_match_regex", "match_regex_list", "not_match_regex_list"])
def test_a_pattern_that_would_find_no_end_is_matched_in_linear_time(tmp_path: Path, kind: str) -> None:
    given = "regex_list: ['^(a+)+$', '^b']" if kind.endswith("list") else "regex: '^(a+)+$'"
    text = f"- {{expectation: expect_column_values_to_{kind}, kwargs: {{column: title, {given}}}}}"
    judge = Validator(own_suite(tmp_path, text), NOW)
    began = time.process_time()
    accepted = judge.rows(documents({"title": "a" * 5_000 + "!"}, {"title": "aaa"}, {"title": None})).accepted
    assert accepted.to_list() == ([True, False, True] if kind.startswith("not") else [False, True, True])
    assert time.process_time() - began < 20


def test_metadata_are_judged_whatever_their_type(tmp_path: Path) -> None:
    suite = own_suite(
        tmp_path,
        """
- {expectation: expect_column_values_to_be_between, kwargs: {column: metadata.year, min_value: 1990}, name: recent}
- {expectation: expect_column_values_to_not_be_null, kwargs: {column: metadata.author}, name: signed}
""",
    )
    metadata = [
        '{"author": "Ada", "year": 2020}',
        '{"author": "Ada", "year": 1980}',
        '{"author": "Ada", "year": "unknown"}',
        '{"author": "Ada"}',
        '{"author": null, "year": 2020.5}',
    ]
    verdicts, _ = judged(documents(*({"metadata": text} for text in metadata)), suite)
    assert verdicts.accepted.to_list() == [True, False, False, True, False]
    assert verdicts.refusals["rule"].to_list() == ["recent", "recent", "signed"]
    reason = verdicts.refusals["reason"][1]
    assert reason.startswith('fails expect_column_values_to_be_between (metadata.year is "unknown"): cannot be judged')


def test_an_aggregate_judges_all_slices_together(tmp_path: Path) -> None:
    suite = own_suite(
        tmp_path,
        """
- {expectation: expect_table_row_count_to_be_between, kwargs: {min_value: 4}, name: enough}
- {expectation: expect_table_row_count_to_be_between, kwargs: {max_value: 3}, reason: too many, name: few}
- {expectation: expect_column_mean_to_be_between, kwargs: {column: chars, max_value: 50}, name: brief}
- {expectation: expect_column_values_to_be_unique, kwargs: {column: title}, name: titles}
- expectation: expect_column_quantile_values_to_be_between
  kwargs: {column: metadata.year, quantile_ranges: {quantiles: [0.5], value_ranges: [[2000, 2010]]}}
  name: years
""",
    )
    judge = Validator(suite, NOW)
    for part in (documents({}, {}), documents({}, {})):
        assert judge.rows(part).accepted.all()
    verdict = judge.verdict()
    assert [failure.split(":")[0] for failure in verdict.failures] == ["few", "brief", "titles", "years"]
    assert verdict.failures[0] == "few: too many, observed 4"
    assert not verdict.ok


def test_a_batch_that_meets_its_aggregates_is_fine(tmp_path: Path) -> None:
    text = "- {expectation: expect_column_median_to_be_between, kwargs: {column: metadata.year, min_value: 2000}}"
    _, verdict = judged(documents({}, {"metadata": '{"year": 2022}'}), own_suite(tmp_path, text))
    assert verdict.ok


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            "{expectation: expect_magic, kwargs: {column: id}}",
            "unknown expectation 'expect_magic'; Great Expectations lists",
        ),
        ("{expectation: expect_colum_values_to_be_null}", "; did you mean expect_column_values_to_be_null, "),
        ("{expectation: unexpected_rows_expectation}", "unknown expectation 'unexpected_rows_expectation'"),
        ("{expectation: expect_column_values_to_be_in_set, kwargs: {column: id, values: [1]}}", "valid arguments are"),
        ("{expectation: expect_column_values_to_be_in_set, kwargs: {value_set: [1]}}", "column: field required"),
        ("{expectation: expect_column_values_to_be_between, kwargs: {column: chars}}", "min_value"),
        (
            "{expectation: expect_column_values_to_match_like_pattern, kwargs: {column: id, like_pattern: a}}",
            "cannot be",
        ),
        ("{expectation: expect_column_mean_to_be_between, kwargs: {column: title, min_value: 1}}", "cannot be applied"),
        ("{expectation: expect_column_values_to_be_between, kwargs: {column: id, min_value: 1}}", "cannot be applied"),
    ],
)
def test_a_wrong_expectation_is_refused_before_any_document(tmp_path: Path, entry: str, message: str) -> None:
    suite = own_suite(
        tmp_path,
        f"- {{expectation: expect_column_max_to_be_between, kwargs: {{column: chars, max_value: 9}}}}\n- {entry}",
    )
    with pytest.raises(InputError) as refusal:
        Validator(suite, NOW)
    assert f"{tmp_path / 'rules.yaml'}, entry 2: " in str(refusal.value)
    assert message in str(refusal.value)


def test_nothing_is_printed_nor_written(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    judged(documents({}, {"text": ""}), SUITE)
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []
