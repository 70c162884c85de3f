"""Filters of a search: values are literals, whatever is in them."""

from __future__ import annotations

import pytest

from storage.errors import InputError
from storage.filters import expression, parse


def test_conditions_of_a_command_line_are_gathered_by_column() -> None:
    assert parse(["source=docs", "document=a=b.md", "source=notes"]) == {
        "source": ["docs", "notes"],
        "document": ["a=b.md"],
    }
    assert parse([]) == {}
    assert parse(["document="]) == {"document": [""]}
    assert parse(["source = 'docs'", 'document="it\'s.md"', "document='"]) == {
        "source": ["docs"],
        "document": ["it's.md", "'"],
    }
    assert parse(["source == docs", "document=='a==b'", "document='=a'"]) == {
        "source": ["docs"],
        "document": ["a==b", "=a"],
    }


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ("source", "where 'source': write COLUMN=VALUE, with one of the columns source, document, key"),
        ("text=x", "there is no column 'text' to filter; there are source, document, key"),
        ("=x", "there is no column ''"),
    ],
)
def test_a_condition_that_cannot_be_asked_is_named(condition: str, told: str) -> None:
    with pytest.raises(InputError) as refusal:
        parse([condition])
    assert told in str(refusal.value)


def test_every_column_must_fit_and_one_value_of_each() -> None:
    told = expression({"source": ["docs", "it's"], "document": "a"}).to_sql()
    assert told == "(`source` IN ('docs', 'it''s') AND document IN ('a'))"


def test_a_column_without_values_is_a_mistake() -> None:
    with pytest.raises(InputError, match="column 'source' has no value that would fit"):
        expression({"source": []})
