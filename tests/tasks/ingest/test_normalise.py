"""The normal form of a document's text."""

from __future__ import annotations

import inspect
import json
import re
import textwrap
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.ingest.normalise import normalise, original_lines

# Every ingredient that the rules speak of, so that their combinations come up often.
INGREDIENTS = st.text(
    st.sampled_from("a\u00e9e\u0301 \t\n\r\ufeff\u00a0\u3000\x00\x0b\x0c\x1c\x1a\x85\u2028#\x1b[]mB(;1\x07\b\\$"),
    max_size=30,
)


@given(st.one_of(st.text(), INGREDIENTS))
def test_normalising_twice_is_normalising_once(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once


@given(st.one_of(st.text(), INGREDIENTS))
def test_the_result_is_composed_has_unix_line_breaks_and_no_space_at_the_ends_of_lines(text: str) -> None:
    result = normalise(text)
    assert unicodedata.is_normalized("NFC", result)
    assert "\r" not in result
    assert not any(line.endswith((" ", "\t", "\u00a0", "\u3000")) for line in result.split("\n"))
    assert not result.startswith(("\ufeff", "\n"))
    assert not result.endswith("\n")


@given(st.text(st.sampled_from("ae\u0301 \n\r\x00\x0b\x0c\x1c\x85"), max_size=30))
def test_control_characters_stay_for_the_validation_to_see_but_those_that_are_white_space(text: str) -> None:
    result = normalise(text)
    assert [c for c in result if c in "\x00\x1c"] == [c for c in text if c in "\x00\x1c"]
    assert not set(result) & set("\x0b\x0c\x85\r")
    assert result.split() == normalise(text.replace("\x0b", " ").replace("\x0c", " ").replace("\x85", " ")).split()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        (" \t\r\n \u3000\n\ufeff\n", ""),
        ("\ufeffone\r\ntwo\rthree", "one\ntwo\nthree"),
        ("cafe\u0301", "caf\u00e9"),
        (
            "\n\n    def f():  \n\treturn  1\t\n\n\n    # two  spaces\n",
            "    def f():\n\treturn  1\n\n\n    # two  spaces",
        ),
        ("a\x00b\x07", "a\x00b\x07"),
        ("page 1\n\x0c\npage 2\x0cpage 3\x0b\x85end", "page 1\n\n\npage 2\npage 3\n\nend"),
        ('"""doc"""\n\x0c\ndef a(): pass', '"""doc"""\n\n\ndef a(): pass'),
        ("\x1b[32mINFO\x1b[0m \x1b[1;31mbad\x1b(B\x1b[m \x1b]0;title\x07x", "INFO bad x"),
        ("\x1b]8;;http://a\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("N\bNA\bAM\bME _\bu_\bn\b\bab\b\n\bc", "NAME a\nc"),
        ("\x1b$BJapanese", "\x1b$BJapanese"),
        ("an old end\n\x1a", "an old end"),
    ],
)
def test_lines_keep_their_insides(text: str, expected: str) -> None:
    assert normalise(text) == expected


@pytest.mark.parametrize("module", [json, textwrap])
def test_source_code_stays_the_same_code(module: object) -> None:
    source = inspect.getsource(module)  # type: ignore[arg-type]
    assert normalise("\ufeff" + source.replace("\n", "\r\n")) == source.rstrip("\n")


def test_a_long_run_of_spaces_takes_no_longer_than_any_text() -> None:
    assert len(normalise("a" + " " * 5_000_000 + "b" + " " * 1_000_000)) == 5_000_002


@given(st.text(st.sampled_from("ab e\u0301\t\n\r\ufeff\u3000"), max_size=30))
def test_each_line_is_found_where_an_editor_shows_it(text: str) -> None:
    normal, at = normalise(text), 0
    shown = re.split("\r\n|\r|\n", text)
    for line in normal.split("\n"):
        (found,) = original_lines(text, [(at, at + len(line), line)])
        assert (found is None) == (not line)
        if found is not None:
            assert found[0] == found[1]
            assert normalise(line) == normalise(shown[found[0] - 1])
        at += len(line) + 1


@given(st.one_of(st.text(), INGREDIENTS))
def test_whatever_a_text_holds_its_lines_are_lines_of_it(text: str) -> None:
    normal = normalise(text)
    (found,) = original_lines(text, [(0, len(normal), normal)])
    assert found is None or 1 <= found[0] <= found[1] <= len(re.split("\r\n|\r|\n", text))
    assert original_lines(text, [(0, len(normal) + 1, normal + "x")]) == [None]
