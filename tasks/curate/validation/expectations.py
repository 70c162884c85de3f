"""The Great Expectations side: builds expectations, runs them without a sound, and reads the results."""

from __future__ import annotations

import gc
import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from storage.errors import InputError
from storage.lazy import amended, hollow, lazy, without
from tasks.curate.validation.inherit import fields_taken_over
from tasks.curate.validation.regexes import match_linearly
from tasks.curate.validation.rules import METADATA, Rule

if TYPE_CHECKING:
    import pandas as pd
    from great_expectations.expectations.expectation import Expectation

__all__ = ["ExpectationRunner", "Finding", "quiet"]

ROW: Final = "row"
# these compare rows with each other, so that only the whole batch can be judged
ACROSS_ROWS: Final = (
    "expect_column_values_to_be_unique",
    "expect_compound_columns_to_be_unique",
    "expect_column_values_to_be_increasing",
    "expect_column_values_to_be_decreasing",
    "expect_column_value_z_scores_to_be_less_than",
    "expect_column_values_to_not_be_outliers",
)
# these need a database, or look at columns that are Tidemark's own
NOT_OFFERED: Final = (
    "unexpected_rows_expectation",
    "expect_query_results_to_match_comparison",
    "expect_table_row_count_to_equal_other_table",
    "expect_column_to_exist",
    "expect_table_column_count_to_be_between",
    "expect_table_column_count_to_equal",
    "expect_table_columns_to_match_ordered_list",
    "expect_table_columns_to_match_set",
)

# what Great Expectations takes where it is installed, for sources of data that it is never given here
UNUSED: Final = ("sqlalchemy", "boto3", "botocore")
# of sixty expectations one draws with altair, two test with scipy, one knows schemas: those import them when they run;
# and nothing is posted, sent by mail or shown as Markdown
LATE: Final = ("altair", "scipy.stats", "jsonschema", "mistune", "requests", "smtplib")
# a model of each kind of database and file store, with all that it can hold, where it is given frames of pandas here;
# its client of a service; and a second interface to what it measures, which no expectation goes by
ELSEWHERE: Final = (
    r"great_expectations\.(core\.http|metrics(\..+)?|datasource\.fluent\."
    r"(?!invalid_|pandas_datasource|pandas_file_path_)(\w+_datasource|fabric))"
)
# makes a class of each function of pandas that reads a file, with a field for each argument; it is given frames here
READERS: Final = "great_expectations.datasource.fluent.dynamic_pandas"


@dataclass(frozen=True)
class Finding:
    """What one expectation found in one table.

    Args:
        rows: Rows of the table.
        missing: Rows that were passed over as null.
        unexpected: Number of each failing row, with the error where it could not be judged.
        samples: Some of the failing values.
        observed: Observed value of an expectation about the batch.
        success: The verdict of Great Expectations.
        error: Why nothing could be judged.
    """

    rows: int = 0
    missing: int = 0
    unexpected: Mapping[int, str | None] = field(default_factory=dict)
    samples: Sequence[Any] = ()
    observed: Any = None
    success: bool = True
    error: str | None = None


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Great Expectations from measuring us, and from talking on the console."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def import_gx() -> Any:
    """Import Great Expectations in a seventh of its time: without the collector, whole copies, and what few use.

    A thread of its own does it: errors that imports meet on their way hold every frame below them, and with these what
    the run has in hand. Frozen, they would hold it to the end.
    """
    with ThreadPoolExecutor(1, "great-expectations") as thread:
        return thread.submit(_imported).result()


def _imported() -> Any:
    collecting = gc.isenabled()
    gc.disable()
    try:
        bare = amended(READERS, _extract_io_methods=lambda blacklist=None: [])
        with quiet(), fields_taken_over(), lazy(*LATE), without(*UNUSED), hollow(ELSEWHERE), bare:
            import great_expectations

            match_linearly()
    finally:
        if collecting:
            gc.freeze()  # three hundred thousand objects that stay: each full collection would walk through them all
            gc.enable()
    return great_expectations


_configured: ContextVar[dict[int, tuple[Any, Any]] | None] = ContextVar("configured", default=None)


@cache
def remember_configurations() -> None:
    """Have expectations give the same configuration again while `configured_once` is in force."""
    from great_expectations.expectations.expectation import Expectation

    patched: Any = Expectation
    make = patched.configuration.fget

    def configuration(self: Any) -> Any:
        known = _configured.get()
        if known is None:
            return make(self)
        if id(self) not in known:
            known[id(self)] = self, make(self)  # the expectation too: a number of an object that is gone is given again
        return known[id(self)][1]

    patched.configuration = property(configuration)


@contextmanager
def configured_once() -> Iterator[None]:
    """Within it expectations do not change: each is asked for its configuration some 75 times, and makes it once."""
    remember_configurations()
    before = _configured.set({})
    try:
        yield
    finally:
        _configured.reset(before)


class ExpectationRunner:
    """Expectations bound to one in-memory context, ready to judge tables.

    Args:
        rules: The rules; each is checked against its expectation's type and arguments.

    Raises:
        InputError: A rule has an unknown type or wrong arguments.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.gx = import_gx()
        with quiet():
            context = self.gx.get_context(mode="ephemeral")
            context.variables.progress_bars = {"globally": False, "metric_calculations": False}
            asset = context.data_sources.add_pandas("tidemark").add_dataframe_asset("documents")
            self.batch = asset.add_batch_definition_whole_dataframe("slice")
            self.types = {rule.name: check_rule(rule) for rule in rules}

    def per_row(self, rule: Rule) -> bool:
        """Whether the expectation judges each row by itself."""
        from great_expectations.expectations.expectation import (
            ColumnMapExpectation,
            ColumnPairMapExpectation,
            MulticolumnMapExpectation,
        )

        kinds = (ColumnMapExpectation, ColumnPairMapExpectation, MulticolumnMapExpectation)
        return rule.expectation not in ACROSS_ROWS and issubclass(self.types[rule.name], kinds)

    def judge(self, table: pd.DataFrame, rules: Sequence[Rule]) -> dict[str, Finding]:
        """Judge a table.

        Args:
            table: Columns that the rules read, and `row`, which names rows.
            rules: Some of the rules that this runner was built with.

        Returns:
            A finding a rule, by its name.

        Raises:
            InputError: A rule of the user cannot be applied to its column.
        """
        findings = self.run(table, rules)
        for rule in rules:
            error = findings[rule.name].error
            if error is not None and self.per_row(rule):
                if not metadata_of(rule):
                    raise InputError(f"{rule.origin or rule.name}: {rule.expectation} cannot be applied: {error}")
                findings[rule.name] = self.judge_by_type(table, rule)
        return findings

    def judge_by_type(self, table: pd.DataFrame, rule: Rule) -> Finding:
        """Judge metadata of one type at a time: of numbers and texts under one key, a range takes only one.

        A row whose value cannot be judged is refused with the error.
        """
        kinds = table[metadata_of(rule)].map(lambda value: type(value).__name__).agg("|".join, axis=1)
        unexpected: dict[int, str | None] = {}
        findings = []
        for _, part in table.groupby(kinds, sort=True):
            finding = self.run(part, [rule])[rule.name]
            findings.append(finding)
            unexpected |= finding.unexpected if finding.error is None else dict.fromkeys(part[ROW], finding.error)
        return Finding(
            rows=len(table),
            missing=sum(finding.missing for finding in findings),
            unexpected=unexpected,
            samples=[value for finding in findings for value in finding.samples],
            success=not unexpected,
        )

    def try_out(self, tables: Sequence[pd.DataFrame], rules: Sequence[Rule]) -> None:
        """Refuse expectations that can be applied to none of some plausible tables.

        Raises:
            InputError: The arguments make no sense for the column, such as a broken pattern.
        """
        tried = [self.run(table, rules) for table in tables]
        for rule in rules:
            errors = [findings[rule.name].error for findings in tried]
            if all(error is not None for error in errors):
                raise InputError(f"{rule.origin or rule.name}: {rule.expectation} cannot be applied: {errors[0]}")

    def run(self, table: pd.DataFrame, rules: Sequence[Rule]) -> dict[str, Finding]:
        """Have Great Expectations count the rows that fail each rule, and name those of the rules that some fail.

        To name rows takes it half as long again as to count them, and most rules are failed by none.
        """
        results = self.ask(table, rules, {"result_format": "BASIC"})
        failed = [rule for rule in rules if fails(results[rule.name])]
        if failed:
            named = {"unexpected_index_column_names": [ROW], "return_unexpected_index_query": False}
            results |= self.ask(table, failed, {"result_format": "COMPLETE", **named})
        return {name: read(result, len(table)) for name, result in results.items()}

    def ask(self, table: pd.DataFrame, rules: Sequence[Rule], form: Mapping[str, Any]) -> dict[str, Any]:
        """Call Great Expectations once; gives its result a rule, by the rule's name."""
        from great_expectations.expectations.expectation_configuration import (
            ExpectationConfiguration,
        )

        with quiet(), configured_once():
            expectations = [ExpectationConfiguration(one.expectation, dict(one.kwargs), id=one.name) for one in rules]
            suite = self.gx.ExpectationSuite("tidemark", expectations=expectations)
            batch = self.batch.get_batch(batch_parameters={"dataframe": table})
            results = batch.validate(suite, result_format=dict(form)).results
        return {result.expectation_config.id: result for result in results}


def metadata_of(rule: Rule) -> list[str]:
    """Columns of the rule that hold whatever type the documents' metadata have."""
    return [name for name in rule.columns if name.startswith(METADATA)]


def fails(result: Any) -> bool:
    """Whether some row fails, also where the expectation as a whole holds, for it allows for some."""
    return error_of(result.exception_info) is None and bool(not result.success or result.result.get("unexpected_count"))


def read(result: Any, rows: int) -> Finding:
    """Turn a result of Great Expectations into a finding."""
    error = error_of(result.exception_info)
    if error is not None:
        return Finding(rows=rows, success=False, error=error)
    found = result.result
    observed = found.get("observed_value")
    return Finding(
        rows=rows,
        missing=int(found.get("missing_count") or 0),
        # the index list is whole, the list of values stops at 200
        unexpected={int(entry[ROW]): None for entry in found.get("unexpected_index_list") or []},
        samples=list(found.get("partial_unexpected_list") or []),
        observed=observed if observed is not None else found.get("unexpected_count"),
        # quantiles answer with numpy's bool, which no JSON writer takes
        success=bool(result.success),
    )


def error_of(info: Mapping[str, Any] | None) -> str | None:
    """Find the message of an exception, which lies at the top or under the id of a metric."""
    if not info:
        return None
    if "raised_exception" in info:
        return str(info.get("exception_message")) if info["raised_exception"] else None
    return next((found for value in info.values() if (found := error_of(value)) is not None), None)


def check_rule(rule: Rule) -> type[Expectation]:
    """Find the class of an expectation, and try its arguments on it."""
    from great_expectations.compatibility import pydantic
    from great_expectations.expectations import registry

    where = rule.origin or rule.name
    offered = sorted(set(registry.list_registered_expectation_implementations()) - set(NOT_OFFERED))
    if rule.expectation not in offered:
        near = get_close_matches(rule.expectation, offered, n=3, cutoff=0.5)
        raise InputError(
            f"{where}: unknown expectation {rule.expectation!r}"
            + (f"; did you mean {', '.join(near)}?" if near else "; Great Expectations lists its own in its gallery")
        )
    found = registry.get_expectation_impl(rule.expectation)
    kind: Any = found
    own = ("id", "meta", "notes", "description", "rendered_content", "windows", "batch_id", "severity")
    valid = ", ".join(sorted(set(kind.__fields__) - set(own)))
    try:
        kind(**rule.kwargs)
    except (pydantic.ValidationError, ValueError, TypeError) as error:
        first = error.errors()[0] if isinstance(error, pydantic.ValidationError) else {"loc": (), "msg": str(error)}
        field_name = ".".join(str(part) for part in first["loc"] if part != "__root__")
        raise InputError(
            f"{where}: {rule.expectation}: {field_name and field_name + ': '}{first['msg']};"
            f" valid arguments are {valid}"
        ) from error
    return found
