"""Disturbed questions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tasks.learn.noise import NOISE, noisy


@given(st.text(min_size=1, max_size=60).filter(lambda text: bool(text.strip())), st.sampled_from(sorted(NOISE)))
def test_a_disturbed_question_is_the_same_each_time_and_never_blank(text: str, kind: str) -> None:
    assert noisy([text], kind) == noisy([text], kind)
    assert noisy([text], kind)[0].strip()


def test_each_kind_disturbs_in_its_way() -> None:
    text = "How do I undo the last Release of the index?"
    (typos,), (dropped,) = noisy([text], "typos"), noisy([text], "dropped words")
    assert typos != text and abs(len(typos) - len(text)) <= 4
    assert len(dropped.split()) == 8 and set(dropped.split()) <= set(text.split())
    assert noisy([text], "upper case") == [text.upper()]
    assert noisy(["one"], "dropped words") == ["one"]
    assert noisy([text], "typos", seed=1) != noisy([text], "typos")
