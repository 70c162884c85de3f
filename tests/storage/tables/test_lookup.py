"""Hashes among others: sorted bytes say what a dictionary says."""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from storage.hashing import digest
from storage.tables.lookup import Places, as_bytes, find_sorted

numbers = st.lists(st.integers(0, 30), max_size=40)


def hashes(of: list[int]) -> list[str]:
    return [digest(str(number)) for number in of]


@given(numbers, numbers)
def test_what_is_found_is_what_is_there(among: list[int], asked: list[int]) -> None:
    there = np.unique(as_bytes(pl.Series(hashes(among), dtype=pl.String)))
    spot, found = find_sorted(there, as_bytes(pl.Series(hashes(asked), dtype=pl.String)))
    assert found.tolist() == [number in among for number in asked]
    wanted = [name.encode() for name, is_there in zip(hashes(asked), found, strict=True) if is_there]
    assert there[spot[found]].tolist() == wanted


@given(numbers, st.integers(0, 40), st.integers(0, 40))
def test_a_part_of_an_array_is_that_part(of: list[int], start: int, size: int) -> None:
    names = hashes(of)
    expected = [name.encode() for name in names[start : start + size]]
    assert as_bytes(pa.array(names, pa.string()).slice(start, size)).tolist() == expected
    assert as_bytes(pl.Series(names, dtype=pl.String).slice(start, size)).tolist() == expected


def test_names_that_are_no_hashes_are_found_too() -> None:
    there = np.unique(as_bytes(pl.Series(["b", "a", "long name"])))
    assert find_sorted(there, as_bytes(pl.Series(["long name", "c"])))[1].tolist() == [True, False]
    assert find_sorted(there, as_bytes(pl.Series([digest("a")])))[1].tolist() == [False]


@given(st.lists(st.lists(st.integers(0, 60), max_size=15), max_size=5))
def test_places_that_come_bit_by_bit_are_all_known(parts: list[list[int]]) -> None:
    places, known = Places.none(), dict[int, tuple[int, int]]()
    for table, part in enumerate(parts):
        fresh = [number for number in dict.fromkeys(part) if number not in known]
        known |= {number: (table, 10 * number) for number in fresh}
        names = as_bytes(pl.Series(hashes(fresh), dtype=pl.String))
        tables, offsets = np.full(len(fresh), table, np.int16), 10 * np.array(fresh, np.int64)
        places = places.and_of(names, tables, offsets)
    every = list(range(61))
    asked = as_bytes(pl.Series(hashes(every)))
    assert places.hold(asked).tolist() == [number in known for number in every]
    spot, found = find_sorted(places.hashes, asked)
    told = list(zip(places.tables[spot[found]].tolist(), places.offsets[spot[found]].tolist(), strict=True))
    assert told == [known[number] for number in every if number in known]
