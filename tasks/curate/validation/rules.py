"""The validation rules as rows: what is refused, from which version on, and in which words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from storage.hashing import fingerprint as hashed
from tasks.curate.config import Setting, ValidationConfig
from tasks.curate.validation.regexes import patterns_of
from tasks.ingest.redact import Redaction

__all__ = ["DEFECTS", "Action", "Rule", "Suite", "default_rules", "fingerprint"]

Action = Literal["refuse", "redact", "flag"]

SUITE: Final = "validation-1"
DAY: Final = 86_400
COLUMN_KWARGS: Final = ("column", "column_A", "column_B", "column_list")
METADATA: Final = "metadata."
UNLICENSED: Final = "(none)"
ID_CHARS: Final = 2_048  # of the longest id: more than addresses have
# What these find says more about a file or its author than about its text.
FLAGGING: Final = frozenset(
    {
        "timestamp-readable",
        "timestamp-not-before-1970",
        "timestamp-not-in-future",
        "no-invisible-characters",
        "no-hidden-text",
    }
)
# Default rules that find a document broken. What breaks a document says nothing of the version before it, which stays.
DEFECTS: Final = frozenset(
    {
        "readable",
        "id-present",
        "content-present",
        "valid-utf8",
        "no-control-characters",
        "timestamp-not-before-1970",
        "timestamp-not-in-future",
    }
)

# Default rules on which no verdict depends while they are flags.
FLAGS: Final = frozenset({"timestamp-readable"})


@dataclass(frozen=True)
class Rule:
    """One expectation with the words that a user reads when it refuses.

    A refusal is one of two kinds. A *defect* (torn, empty, undecodable) says that this version of the document is
    broken: its last good version stays in the index. A *policy* (licence, language, length) says that the document is
    not wanted: it leaves the index.

    Args:
        name: Stable name, written to the quarantine.
        version: Raised when the meaning changes while the arguments do not.
        expectation: Great Expectations type, in snake case.
        kwargs: Its arguments.
        reason: Text with `{column}` and `{argument}` fields of the refused row.
        origin: File and entry of a user's expectation; None for the default suite.
        condition: Columns that a `row_condition` among the arguments reads.
        defect: Whether it finds documents broken, rather than unwanted.
        action: What becomes of a row that fails: `refuse` keeps it out, `flag` lets it in and counts it, `redact` lets
            it in without what was found.
    """

    name: str
    version: int
    expectation: str
    kwargs: Mapping[str, Any]
    reason: str
    origin: str | None = None
    condition: tuple[str, ...] = ()
    defect: bool = False
    action: Action = "refuse"

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that the expectation reads."""
        named: list[str] = []
        for key in COLUMN_KWARGS:
            value = self.kwargs.get(key, [])
            named += value if isinstance(value, list | tuple) else [value]
        return tuple(dict.fromkeys([*named, *self.condition]))

    @property
    def identity(self) -> str:
        """Version and digest of the arguments: changes when a refused document deserves another try."""
        return f"{self.version}.{hashed([self.name, self.expectation, dict(self.kwargs)])[:8]}"

    @property
    def redaction(self) -> Redaction:
        """What it takes out, where it is one of `REDACTING`."""
        return Redaction(self.name, str(self.kwargs.get("column")), tuple(patterns_of(self.kwargs)))

    def explain(self, row: Mapping[str, Any]) -> str:
        """Say why this row is refused."""
        if self.origin is None:
            shown = {key: ", ".join(map(str, v)) if isinstance(v, list) else v for key, v in self.kwargs.items()}
            return self.reason.format_map({**shown, **row})
        # a user's text is not a template: braces in it are only braces
        values = ", ".join(f"{name} is {shorten(row.get(name))}" for name in self.columns)
        return f"{self.reason} ({values})" if values else self.reason


@dataclass(frozen=True)
class Suite:
    """The rules in force, in the order in which they are reported."""

    config: ValidationConfig
    rules: tuple[Rule, ...] = field(default=())

    @property
    def judging(self) -> Suite:
        """The rules that judge documents: those that redact have done their part before."""
        return replace(self, rules=tuple(rule for rule in self.rules if rule.action != "redact"))

    @property
    def redactions(self) -> tuple[Redaction, ...]:
        """What rules take out of documents as they are read."""
        return tuple(rule.redaction for rule in self.rules if rule.action == "redact")

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that some rule reads."""
        return tuple(dict.fromkeys(name for rule in self.rules for name in rule.columns))


def shorten(value: object, limit: int = 80) -> str:
    """Show a value of unknown size within a line."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= limit else f"{text[:limit]}..."


def fingerprint(config: ValidationConfig, suite: Suite) -> str:
    """Identify everything that can change a verdict: rules, arguments, parameters, the user's file by content."""
    # where the user's file lies and how it is spaced does not matter: its entries are among the rules
    parameters = config.model_dump(mode="json", exclude={"expectations"})
    judging = [rule for rule in suite.rules if rule.name not in FLAGS or (rule.origin, rule.action) != (None, "flag")]
    return hashed([SUITE, parameters, [_judging(rule) for rule in judging]])


def _judging(rule: Rule) -> list[object]:
    """Spell what of a rule can change a verdict.

    What a rule does by default is left out, so that a store which knew no actions is not judged again for them.
    """
    spelled: list[object] = [rule.name, rule.version, rule.expectation, dict(rule.kwargs), rule.reason]
    if rule.defect != (rule.origin is None and rule.name in DEFECTS):
        spelled.append({"defect": rule.defect})
    if rule.action != "refuse":
        spelled.append({"action": rule.action})
    return spelled


def default_rules(config: ValidationConfig) -> Iterator[Rule]:
    """Yield the built-in rules; to add one, add it to `_rows`, its column to `FEATURES` and its kind to `DEFECTS`."""
    for rule in _rows(config):
        default: Setting = "flag" if rule.name in FLAGGING else "refuse"
        action = config.rules.get(rule.name, default)
        if action != "off":
            # What is let in is not broken.
            yield replace(rule, action=action, defect=rule.name in DEFECTS and action == "refuse")


def _rows(config: ValidationConfig) -> Iterator[Rule]:
    between, in_set = "expect_column_values_to_be_between", "expect_column_values_to_be_in_set"
    yield Rule("readable", 1, "expect_column_values_to_be_null", {"column": "problem"}, "{problem}")
    yield Rule(
        "id-present", 1, between, {"column": "id_chars", "min_value": 1}, "has no id: each document needs a unique one"
    )
    yield Rule(
        "id-unique",
        1,
        in_set,
        {"column": "occurrence", "value_set": [1]},
        "id {id!r} comes again in source {source!r} (occurrence {occurrence}): the first is kept",
    )
    yield Rule(
        "id-length",
        1,
        between,
        {"column": "id_chars", "max_value": ID_CHARS},
        "has an id of {id_chars:,} characters; allowed are {max_value:,}",
    )
    yield Rule("content-present", 2, in_set, {"column": "blank", "value_set": [False]}, "is empty after normalisation")
    yield Rule(
        "content-length",
        1,
        between,
        {"column": "content_chars", "min_value": config.min_chars, "max_value": config.max_chars},
        "has {content_chars:,} characters; allowed are {min_value:,} to {max_value:,}",
    )
    yield _none_of(
        "valid-utf8",
        "replacements",
        "is not valid UTF-8: {replacements:,} undecodable places (U+FFFD), the first at character {replacement_at:,}",
    )
    yield _none_of(
        "no-control-characters",
        "controls",
        "holds {controls:,} control characters, the first is U+{control_code:04X} at character {control_at:,}",
    )
    yield Rule("timestamp-readable", 1, "expect_column_values_to_be_null", {"column": "untimed"}, "{untimed}")
    yield from _seen()
    yield from _times()
    yield from _lists(config)


def _none_of(name: str, column: str, told: str) -> Rule:
    """A rule that a text holds none of what a column counts."""
    return Rule(name, 1, "expect_column_values_to_be_between", {"column": column, "max_value": 0}, told)


def _seen() -> Iterator[Rule]:
    """The rules about what readers of a page do not see."""
    yield _none_of(
        "no-invisible-characters",
        "invisible",
        "holds {invisible:,} characters that nobody sees, such as U+{invisible_code:04X} at character {invisible_at:,}",
    )
    yield _none_of(
        "no-hidden-text",
        "hidden_chars",
        "holds {hidden_chars:,} characters that its styles hide; they were left out",
    )


def _times() -> Iterator[Rule]:
    """The rules about time stamps."""
    between = "expect_column_values_to_be_between"
    yield Rule(
        "timestamp-not-before-1970",
        1,
        between,
        {"column": "timestamp_seconds", "min_value": 0},
        "timestamp {timestamp:%Y-%m-%d %H:%M} lies before 1970",
    )
    yield Rule(
        "timestamp-not-in-future",
        1,
        between,
        {"column": "timestamp_ahead", "max_value": DAY},
        "timestamp {timestamp:%Y-%m-%d %H:%M} lies more than a day in the future",
    )


def _lists(config: ValidationConfig) -> Iterator[Rule]:
    """The rules about lists of what is allowed, which hold where a list is given."""
    in_set = "expect_column_values_to_be_in_set"
    if config.licences is not None:
        allowed = sorted({name.strip().lower() for name in config.licences})
        allowed += [UNLICENSED] if config.unlicensed else []
        yield Rule(
            "licence-allowed",
            1,
            in_set,
            {"column": "licence_key", "value_set": allowed},
            "licence {licence_key} is not allowed; allowed are {value_set}",
        )
    if config.languages is not None:
        yield Rule(
            "language-allowed",
            1,
            in_set,
            {"column": "language", "value_set": sorted(config.languages)},
            "language {language} is not allowed; allowed are {value_set}",
        )
