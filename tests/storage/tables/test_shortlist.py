"""A join with a shortlist gives what a join with the whole gives."""

from __future__ import annotations

import time
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from storage.hashing import digest
from storage.tables.shortlist import Shortlist

few = st.lists(st.none() | st.text("ab", max_size=2), max_size=12)


def frame(values: list[str | None], name: str) -> pl.DataFrame:
    return pl.DataFrame({"by": values, name: range(len(values))}, schema={"by": pl.String, name: pl.Int64})


@given(few, st.lists(few, max_size=3), st.sampled_from(["inner", "left", "semi", "anti"]))
def test_each_slice_is_joined_as_with_the_whole(
    whole: list[str | None], parts: list[list[str | None]], how: Any
) -> None:
    order: Any = "left_right" if how in {"inner", "left"} else "left"
    right = frame(whole, "at")
    shortlist = Shortlist(right, "by")
    for part in parts:
        left = frame(part, "n")
        found = left.join(shortlist.of(left["by"]), on="by", how=how, maintain_order=order)
        assert_frame_equal(found, left.join(right, on="by", how=how, maintain_order=order))


@given(few, few)
def test_only_what_is_asked_for_is_on_it(whole: list[str | None], asked: list[str | None]) -> None:
    right = frame(whole, "at")
    assert Shortlist(right, "by").of(frame(asked, "n")["by"])["at"].to_list() == [
        at for at, value in enumerate(whole) if value in asked
    ]


def test_equal_hashes_of_other_values_are_left_to_the_join(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pl.Series, "hash", lambda self: pl.Series([7] * len(self), dtype=pl.UInt64))
    right = frame(["a", "b", "a"], "at")
    rows = Shortlist(right, "by").of(pl.Series(["a"]))
    assert rows["at"].to_list() == [0, 1, 2]
    assert pl.DataFrame({"by": ["a"]}).join(rows, on="by")["at"].to_list() == [0, 2]


def test_a_slice_costs_the_same_beside_ten_times_the_rows() -> None:
    def seconds(rows: int) -> float:
        right = frame([digest(str(n)) for n in range(rows)], "at")
        shortlist, left = Shortlist(right, "by"), right.slice(rows // 2, 500).select("by")
        best = float("inf")
        for _ in range(5):
            begun = time.process_time()
            for _ in range(10):
                left.join(shortlist.of(left["by"]), on="by", how="inner")
            best = min(best, time.process_time() - begun)
        return best

    assert seconds(300_000) < 4 * seconds(30_000)
