"""Ids by their beginnings."""

from __future__ import annotations

import pytest

from storage.errors import InputError
from storage.prefixes import one_of


def test_one_that_begins_so_is_meant_and_none_is_none() -> None:
    assert one_of("ab", ["abc"], "chunk") == "abc"
    assert one_of("ab", [], "chunk") is None
    assert one_of("", ["abc"], "chunk") is None


def test_of_several_the_first_are_named() -> None:
    with pytest.raises(InputError, match="several chunks begin with 'a': ab, ac; give more of the one that you mean"):
        one_of("a", ["ab", "ac"], "chunk")
    with pytest.raises(InputError, match=r"begin with 'a': a0, a1, a2, a3, a4, \.\.\.; give more"):
        one_of("a", [f"a{number}" for number in range(9)], "chunk")
