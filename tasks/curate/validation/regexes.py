"""Patterns of the user's own rules, matched in time proportional to the text, whatever pattern and text are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import polars as pl

from storage.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["check_patterns", "match_linearly", "patterns_of"]

# JSON schemas and conditions would have Python match their patterns, which on some texts never ends.
_SCHEMAS = ("pattern", "patternProperties")


def check_patterns(kwargs: Mapping[str, Any], origin: str) -> None:
    """Refuse patterns that cannot be matched in linear time, and those that Python would match.

    Args:
        kwargs: Arguments of an expectation.
        origin: Where they stand.

    Raises:
        InputError: There is one; the text says why.
    """
    for pattern in patterns_of(kwargs):
        if isinstance(pattern, str) and (fault := _fault(pattern)) is not None:
            raise InputError(
                f"{origin}: the pattern {pattern!r} cannot be applied: {fault}. Patterns are those of Rust's regex "
                r"crate, which ends on every text: it has no lookaround, such as (?=, no backreferences, such as \1, "
                r"and writes the end of a text \z"
            )
    if named := [key for key in _keys(kwargs.get("json_schema")) if key in _SCHEMAS]:
        raise InputError(
            f"{origin}: the JSON schema has {named[0]!r}, and no text ends such a search surely; use a regex"
        )
    if ".str" in str(kwargs.get("row_condition", "")):
        raise InputError(f"{origin}: row_condition calls a method of texts; compare columns with values")


def patterns_of(kwargs: Mapping[str, Any]) -> list[Any]:
    """The patterns among the arguments of an expectation, as they were written; not all need be texts."""
    given = kwargs.get("regex_list")
    listed = given if isinstance(given, list) else [given]
    return [pattern for pattern in (kwargs.get("regex"), *listed) if pattern is not None]


def match_linearly() -> None:
    """Have Great Expectations, which is imported, match patterns in tables of pandas by Rust's regex crate."""
    _registered()


@cache
def _registered() -> None:
    """Take the place of four metrics: a class of that name is known to Great Expectations once it is made."""
    from great_expectations.execution_engine.pandas_execution_engine import PandasExecutionEngine
    from great_expectations.expectations.metrics.map_metric_provider.column_condition_partial import (
        column_condition_partial,
    )
    from great_expectations.expectations.metrics.map_metric_provider.column_map_metric_provider import (
        ColumnMapMetricProvider,
    )

    partial: Callable[[Any], Any] = column_condition_partial(engine=PandasExecutionEngine)

    class MatchRegex(ColumnMapMetricProvider):
        condition_metric_name = "column_values.match_regex"
        condition_value_keys = ("regex",)

        @partial
        def _pandas(cls, column: pd.Series[Any], regex: str, **_: Any) -> pd.Series[bool]:
            return _matched(column, [regex])

    class NotMatchRegex(ColumnMapMetricProvider):
        condition_metric_name = "column_values.not_match_regex"
        condition_value_keys = ("regex",)

        @partial
        def _pandas(cls, column: pd.Series[Any], regex: str, **_: Any) -> pd.Series[bool]:
            return ~_matched(column, [regex])

    class MatchRegexList(ColumnMapMetricProvider):
        condition_metric_name = "column_values.match_regex_list"
        condition_value_keys = ("regex_list", "match_on")
        default_kwarg_values = {"match_on": "any"}  # noqa: RUF012

        @partial
        def _pandas(
            cls,
            column: pd.Series[Any],
            regex_list: Sequence[str],
            match_on: str,
            **_: Any,
        ) -> pd.Series[bool]:
            return _matched(column, regex_list, every=match_on == "all")

    class NotMatchRegexList(ColumnMapMetricProvider):
        condition_metric_name = "column_values.not_match_regex_list"
        condition_value_keys = ("regex_list",)

        @partial
        def _pandas(cls, column: pd.Series[Any], regex_list: Sequence[str], **_: Any) -> pd.Series[bool]:
            return ~_matched(column, regex_list)


def _matched(column: pd.Series[Any], patterns: Sequence[str], *, every: bool = False) -> pd.Series[bool]:
    """Which texts have one of some patterns in them, or every one."""
    import pandas as pd

    texts = pl.DataFrame({"text": [str(value) for value in column]}, schema={"text": pl.String})
    hits = [pl.col("text").str.contains(pattern) for pattern in patterns]
    both = pl.all_horizontal(hits) if every else pl.any_horizontal(hits)
    return pd.Series(texts.select(both).to_series().to_numpy(), index=column.index)


def _fault(pattern: str) -> str | None:
    try:
        pl.Series(["a"]).str.contains(pattern)
    except pl.exceptions.PolarsError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        told = next((line for line in reversed(lines) if line.startswith("error:")), lines[-1])
        return told.removeprefix("error: ")
    return None


def _keys(schema: Any) -> list[str]:
    """All keys of a JSON schema, however deep."""
    pending, found = [schema], list[str]()
    while pending:
        here = pending.pop()
        if isinstance(here, Mapping):
            found += map(str, here)
            pending += here.values()
        elif isinstance(here, list):
            pending += here
    return found
