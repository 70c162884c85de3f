"""Hashes among others: sorted bytes say what a dictionary says."""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from storage.hashing import digest
from storage.tables.lookup import Bytes, Places, Waiting, as_bytes, distinct, find_sorted

numbers = st.lists(st.integers(0, 30), max_size=40)


def hashes(of: list[int]) -> list[str]:
    return [digest(str(number)) for number in of]


def names(of: Bytes) -> list[str]:
    return [of[at : at + 1].tobytes().hex() for at in range(len(of))]


@given(numbers, numbers)
def test_what_is_found_is_what_is_there(among: list[int], asked: list[int]) -> None:
    there = np.unique(as_bytes(pl.Series(hashes(among), dtype=pl.String)))
    spot, found = find_sorted(there, as_bytes(pl.Series(hashes(asked), dtype=pl.String)))
    assert found.tolist() == [number in among for number in asked]
    wanted = [name for name, is_there in zip(hashes(asked), found, strict=True) if is_there]
    assert names(there[spot[found]]) == wanted


@given(numbers, st.integers(0, 40), st.integers(0, 40))
def test_a_part_of_an_array_is_that_part(of: list[int], start: int, size: int) -> None:
    every = hashes(of)
    expected = every[start : start + size]
    assert names(as_bytes(pa.array(every, pa.string()).slice(start, size))) == expected
    assert names(as_bytes(pl.Series(every, dtype=pl.String).slice(start, size))) == expected


def test_names_that_are_no_hashes_are_found_too() -> None:
    there = np.unique(as_bytes(pl.Series(["b", "a", "long name"])))
    assert find_sorted(there, as_bytes(pl.Series(["long name", "c"])))[1].tolist() == [True, False]
    assert find_sorted(there, as_bytes(pl.Series([digest("a")])))[1].tolist() == [False]


@given(st.lists(st.lists(st.integers(0, 60), max_size=15), max_size=5))
def test_places_that_come_bit_by_bit_are_all_known(parts: list[list[int]]) -> None:
    places, known = Places.none(), dict[int, tuple[int, int]]()
    for table, part in enumerate(parts):
        fresh = sorted({number for number in part if number not in known}, key=lambda number: digest(str(number)))
        known |= {number: (table, 10 * number) for number in fresh}
        new = as_bytes(pl.Series(hashes(fresh), dtype=pl.String))
        tables, offsets = np.full(len(fresh), table, np.int16), 10 * np.array(fresh, np.int64)
        places = places.and_of(new, tables, offsets)
    every = list(range(61))
    asked = as_bytes(pl.Series(hashes(every)))
    assert places.hold(asked).tolist() == [number in known for number in every]
    spot, found = find_sorted(places.hashes, asked)
    told = list(zip(places.tables[spot[found]].tolist(), places.offsets[spot[found]].tolist(), strict=True))
    assert told == [known[number] for number in every if number in known]


def test_places_of_names_of_any_length_stay_whole() -> None:
    few, long = as_bytes(pl.Series(["a", "c"])), as_bytes(pl.Series(["b" * 40]))
    places = (
        Places.none()
        .and_of(few, np.zeros(2, np.int16), np.array([1, 3]))
        .and_of(long, np.ones(1, np.int16), np.array([2]))
    )
    assert places.hashes.tolist() == [b"a", b"b" * 40, b"c"]
    assert (places.tables.tolist(), places.offsets.tolist()) == ([0, 1, 0], [1, 2, 3])


@given(st.lists(numbers, max_size=5))
def test_of_many_slices_each_hash_is_there_once(parts: list[list[int]]) -> None:
    found = distinct(pl.Series(hashes(part), dtype=pl.String) for part in parts)
    assert names(found) == sorted(hashes(sorted({number for part in parts for number in part})))


@given(numbers, st.lists(st.sets(st.integers(0, 40)), max_size=5))
def test_what_waits_is_taken_once(waiting: list[int], parts: list[set[int]]) -> None:
    left, queue = set(waiting), Waiting(distinct([pl.Series(hashes(waiting), dtype=pl.String)]))
    for part in map(list, parts):
        taken = queue.take(pl.Series(hashes(part), dtype=pl.String))
        assert taken.to_list() == [number in left for number in part]
        left -= set(part)


@given(st.lists(st.binary(min_size=16, max_size=16), unique=True, max_size=30))
def test_hashes_that_end_in_zeros_are_told_apart(raw: list[bytes]) -> None:
    ends = [each[:keep] + bytes(16 - keep) for each in raw for keep in (0, 1, 14, 15, 16)]
    every = list(dict.fromkeys(each.hex() for each in ends))
    found = distinct([pl.Series(every, dtype=pl.String)])
    assert names(found) == sorted(every)
    assert find_sorted(found, as_bytes(pl.Series(every, dtype=pl.String)))[1].all()
