"""Texts that are nearly equal."""

from __future__ import annotations

import re
from itertools import combinations

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.learn.near import near_pairs, shingles

TEXTS = st.lists(st.lists(st.sampled_from("abcd"), max_size=12).map(" ".join), max_size=12)


def frame(texts: list[str]) -> pl.DataFrame:
    return pl.DataFrame({"row": range(len(texts)), "text": texts}, schema={"row": pl.UInt32, "text": pl.String})


def trigrams(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.lower())
    if len(words) < 3:
        return {tuple(words)} if words else set()
    return set(zip(words, words[1:], words[2:], strict=False))


@settings(max_examples=80, deadline=None)
@given(TEXTS, st.sampled_from([0.3, 0.7, 0.8, 1.0]))
def test_every_pair_of_near_equal_texts_is_found_and_no_other(texts: list[str], threshold: float) -> None:
    expected = {}
    for a, b in combinations(range(len(texts)), 2):
        first, second = trigrams(texts[a]), trigrams(texts[b])
        if first and second and (similarity := len(first & second) / len(first | second)) >= threshold:
            expected[a, b] = similarity
    found = {(a, b): similarity for a, b, similarity in near_pairs(shingles(frame(texts)), threshold).iter_rows()}
    assert found == expected


def test_nothing_is_near_nothing() -> None:
    assert near_pairs(shingles(frame([])), 0.8).is_empty()
    assert near_pairs(shingles(frame(["", "  ", "?"])), 0.8).is_empty()


def test_texts_without_spaces_are_compared_by_character() -> None:
    found = near_pairs(shingles(frame(["潮汐是怎么形成的请告诉我", "潮汐是怎么形成的请告诉他"])), 0.8)
    assert found.select("a", "b").rows() == [(0, 1)]


def test_a_large_family_is_held_together_at_little_cost() -> None:
    common = "this page was made by the same template as all of the other pages of this site and says nothing else"
    found = near_pairs(shingles(frame([f"{common} {number} end" for number in range(1_000)])), 0.7)
    assert set(found.select("a", "b").iter_rows()) >= {(number, number + 1) for number in range(999)}
    assert found.height < 5_000
