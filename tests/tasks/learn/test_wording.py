"""The words of a question."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.learn.wording import PASSAGE_LENGTH, asks, first_sentence, plain, tidy, without

WORDS = st.lists(st.sampled_from(["tide", "Tide", "ebb", "a.b", "(x)", "#", "…", "flood."]), min_size=1, max_size=5)
SPACE = st.sampled_from([" ", "\n", "  ", "\t"])


def test_questions_with_the_same_words_are_the_same() -> None:
    assert plain("  How do I *undo* a Release?") == plain("how do i undo a release") == "how do i undo a release"


@pytest.mark.parametrize(
    ("text", "does"),
    [
        ("how tides turn", True),
        ("tides turn", False),
        ("is it so", False),
        ("1.2 - 3.4 - 5.6", False),
        ("pandas.core.strings", False),
        ("潮汐是怎么形成的", True),
        ("潮汐", False),
        ("word " * 80, False),
    ],
)
def test_a_question_has_three_words_and_twelve_characters(text: str, does: bool) -> None:
    assert asks(text) is does


def test_a_question_leaves_the_text_wherever_it_stands() -> None:
    text = "def f(x)\n\nGive the tide at\n   a place.\n\nIt does give the tide at a place, twice."
    assert without(text, "Give the tide at a place.") == "def f(x)\n\n \n\nIt does  , twice."
    assert without("The retired tide.", "tide") == "The retired  "
    assert without("as it was", " ?") == "as it was"


@given(WORDS, st.lists(WORDS, max_size=6), SPACE, st.randoms())
def test_the_words_of_a_question_are_not_in_what_is_left(
    question: list[str], around: list[list[str]], space: str, random: object
) -> None:
    pieces = [space.join(question), *(" ".join(words) for words in around), " ".join(question)]
    random.shuffle(pieces)  # type: ignore[attr-defined]
    left = without(" ".join(pieces), " ".join(question))
    core = " ".join(question).rstrip(".!?:;")
    if left is not None and core:
        begin, end = (r"(?<!\w)" if core[0].isalnum() else ""), (r"(?!\w)" if core[-1].isalnum() else "")
        pattern = begin + r"\s+".join(re.escape(word) for word in core.split()) + end
        assert not re.search(pattern, left, re.IGNORECASE)


def test_taking_words_out_is_linear() -> None:
    started = time.perf_counter()
    without("tide " * 200_000, "tide tide tide ebb")
    without("tide" + " " * 400_000 + "x", "tide ebb flood")
    assert time.perf_counter() - started < 2


def test_a_passage_is_tidy_and_not_too_long() -> None:
    assert tidy("## \n\n\n\nThe ebb.\n\n\n \nThe flood.\n") == "The ebb.\n\nThe flood."
    cut = tidy("tide " * 1_000)
    assert PASSAGE_LENGTH - 10 < len(cut) <= PASSAGE_LENGTH
    assert cut.endswith("tide")
    assert len(tidy("x" * 5_000)) == PASSAGE_LENGTH


def test_a_sentence_ends_behind_no_abbreviation() -> None:
    assert first_sentence("Give tides, e.g. of\nharbours. And more.\n\nElse.") == "Give tides, e.g. of harbours."
    assert first_sentence("No stop\n\nElse.") == "No stop"
