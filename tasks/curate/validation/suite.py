"""The suite in force: the default rules, then the expectations of the user's YAML or JSON file."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any, Final, cast

from storage.errors import InputError
from tasks.curate.config import ValidationConfig
from tasks.curate.validation.features import DOCUMENT_COLUMNS, FEATURES
from tasks.curate.validation.regexes import check_patterns, patterns_of
from tasks.curate.validation.rules import METADATA, Action, Rule, Suite, default_rules

__all__ = ["load_suite"]

MOST_VALUES: Final = 100_000
REDACTING: Final = ("expect_column_values_to_not_match_regex", "expect_column_values_to_not_match_regex_list")
REDACTABLE: Final = ("text", "title")
ENTRY_KEYS: Final = ("expectation", "kwargs", "name", "reason", "meta", "action", "defect")
# what Great Expectations itself writes into an exported suite, and what has no meaning here
EXPORTED_KEYS: Final = ("type", "id", "description", "notes", "rendered_content", "severity")


def load_suite(config: ValidationConfig) -> Suite:
    """Put the default rules and the user's expectations together.

    Names, columns and the shape of entries are checked here, in milliseconds; `Validator` checks types and arguments,
    since that takes Great Expectations.

    Raises:
        InputError: The user's file is missing, is no YAML or JSON, or an entry is wrong.
    """
    rules = list(default_rules(config))
    if config.expectations is not None:
        rules += user_rules(config.expectations, {rule.name for rule in rules})
    return Suite(config, tuple(rules))


def user_rules(path: Path, taken: set[str]) -> Iterator[Rule]:
    """Read one rule an entry of a user's file."""
    names = set(taken)
    for number, entry in enumerate(read_entries(path), start=1):
        rule = parse_entry(entry, f"{path}, entry {number}")
        if rule.name in names and "name" in entry:
            raise InputError(f"{rule.origin}: the name {rule.name!r} is taken; give each entry its own")
        unique = rule.name if rule.name not in names else f"{rule.name}#{number}"
        names.add(unique)
        yield replace(rule, name=unique)


def read_entries(path: Path) -> list[Any]:
    """Parse the file: a list, or an exported suite with the list under `expectations`."""
    import yaml

    if path.suffix.lower() not in (".yaml", ".yml", ".json"):
        raise InputError(f"{path}: expectations are read from .yaml, .yml and .json files")
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text) if path.suffix.lower() == ".json" else yaml.safe_load(text)
    except OSError as error:
        raise InputError(f"{path}: cannot read the expectations: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 (byte {error.start})") from error
    except (json.JSONDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: is not valid {path.suffix[1:].upper()}: {error}") from error
    except RecursionError as error:
        raise InputError(f"{path}: is nested too deep to be read; an entry needs five levels") from error
    check_size(content, path)
    entries = content.get("expectations") if isinstance(content, dict) else content
    if not isinstance(entries, list):
        raise InputError(f"{path}: holds no list of entries; each is {{expectation: ..., kwargs: {{...}}}}")
    return entries


def check_size(content: Any, path: Path) -> None:
    """Refuse a file that is small and means something large, as aliases of aliases do.

    Raises:
        InputError: It has more values than any list of rules, each alias counted where it stands.
    """
    pending, count = [content], 0
    while pending:
        here = pending.pop()
        count += 1
        if count > MOST_VALUES:
            raise InputError(f"{path}: holds over {MOST_VALUES:,} values once its aliases are followed; write fewer")
        if isinstance(here, dict):
            pending.extend(here.values())
        elif isinstance(here, list):
            pending.extend(here)


def parse_entry(entry: Any, origin: str) -> Rule:
    """Check one entry as far as that goes without Great Expectations."""
    if not isinstance(entry, dict):
        raise InputError(f"{origin}: is {reprlib.repr(entry)}, not a mapping with `expectation` and `kwargs`")
    if unknown := [key for key in entry if key not in (*ENTRY_KEYS, *EXPORTED_KEYS)]:
        raise InputError(f"{origin}: unknown key {unknown[0]!r}; valid are {', '.join(ENTRY_KEYS)}")
    expectation = entry.get("expectation", entry.get("type"))
    if not isinstance(expectation, str) or not expectation:
        raise InputError(f"{origin}: names no expectation, such as `expectation: expect_column_values_to_not_be_null`")
    kwargs = entry.get("kwargs") or {}
    if not isinstance(kwargs, dict):
        raise InputError(f"{origin}: kwargs is {reprlib.repr(kwargs)}, not a mapping of arguments")
    meta = entry.get("meta") or {}
    reason = entry.get("reason") or (meta.get("reason") if isinstance(meta, dict) else None)
    kwargs = {key: zoned(value) for key, value in kwargs.items() if value is not None}
    if kwargs.pop("mostly", 1) != 1:
        raise InputError(
            f"{origin}: `mostly` has no use, since each row is judged by itself; the share of refused rows that"
            " stops a run is set under [limits]"
        )
    check_patterns(kwargs, origin)
    # a condition is free text: every column whose name occurs in it is handed over
    condition = str(kwargs.get("row_condition", ""))
    read = tuple(column for column in (*DOCUMENT_COLUMNS, *FEATURES) if column in condition)
    rule = Rule(
        "", 1, expectation, kwargs, str(reason or f"fails {expectation}"), origin, read, *parse_kind(entry, origin)
    )
    for column in rule.columns:
        check_column(column, origin)
    if rule.action == "redact":
        check_redaction(rule, origin)
    return replace(rule, name=str(entry.get("name") or ":".join([expectation, *rule.columns])))


def parse_kind(entry: Mapping[str, Any], origin: str) -> tuple[bool, Action]:
    """Read whether an entry finds defects, and what becomes of the rows that fail it."""
    defect, action = entry.get("defect", False), entry.get("action", "refuse")
    if not isinstance(defect, bool):
        raise InputError(
            f"{origin}: defect is {defect!r}; write true where a row that fails is broken, so its last version stays"
        )
    if action not in ("refuse", "flag", "redact"):
        raise InputError(f"{origin}: unknown action {action!r}; valid are refuse, flag and redact")
    if action != "refuse" and defect:
        raise InputError(
            f"{origin}: a rule that {action}s refuses nothing, so that it finds no defects: drop one of the two"
        )
    return defect, cast("Action", action)


def check_redaction(rule: Rule, origin: str) -> None:
    """Refuse a rule of which nobody could say what it finds within a text.

    Raises:
        InputError: It is no expectation on patterns in a text or title, or a pattern is wrong.
    """
    patterns = patterns_of(rule.kwargs)
    if (
        rule.expectation not in REDACTING
        or rule.kwargs.get("column") not in REDACTABLE
        or rule.condition
        or not patterns
        or not isinstance(rule.kwargs.get("regex_list", []), list)
        or not all(isinstance(pattern, str) for pattern in patterns)
    ):
        raise InputError(
            f"{origin}: action 'redact' needs to know what to take out: write {' or '.join(REDACTING)} with `regex` "
            f"or `regex_list`, on the column {' or '.join(REDACTABLE)}, without a row_condition"
        )
    rule.redaction.check(origin)


def check_column(column: object, origin: str) -> None:
    """Refuse a column that no document has."""
    valid = (*DOCUMENT_COLUMNS, *FEATURES)
    if column in valid or (isinstance(column, str) and column.startswith(METADATA) and len(column) > len(METADATA)):
        return
    raise InputError(f"{origin}: unknown column {column!r}; valid are {', '.join(valid)} and {METADATA}<key>")


def zoned(value: Any) -> Any:
    """Give a date of the user's file the time zone of the documents' timestamps."""
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime.combine(value, time(), tzinfo=UTC)
    return value
