"""Titles by kind, against the patterns that define them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.sources import markup

# What the code means, in as few words; too slow to be run over what a user wrote.
FRONT_TITLE = re.compile(r"^title[ \t]*:[ \t]*(.+?)[ \t\r]*$", re.MULTILINE)
HEADING = re.compile(r" {0,3}#{1,6}[ \t]+(.*?)[ \t]*#*[ \t]*$")


def some(*parts: str) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(parts), max_size=12).map("".join)


@given(some(" ", "\t", "#", "##", "a", "b c", "\\", "*"))
def test_a_heading_is_what_its_pattern_says(line: str) -> None:
    found = HEADING.match(line)
    assert markup._heading(line) == (found[1] if found else "")


@given(some("title", "Title", ":", " ", "\t", "\r", "\n", "'", '"', "a", "b c"))
def test_a_title_of_front_matter_is_what_its_pattern_says(front: str) -> None:
    found = FRONT_TITLE.search(front)
    assert markup._front_title(front) == (found[1] if found else "")


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("---\ntitle: A\n---\n# B\n", "A"),
        ("---\r\ntitle:  'A b' \r\n...\r\n", "A b"),
        ("---\ntitle:\ntitle: A\n---\n", "A"),
        ("---\ntitle: ''\n---\n# B\n", "B"),
        ("---\ntitle: \n---\n# B\n", None),
        ("---\ntitle: A\n# B\n", "B"),
    ],
)
def test_front_matter_comes_before_headings(text: str, title: str | None) -> None:
    assert markup.page(text.encode(), "a.md").title == title
