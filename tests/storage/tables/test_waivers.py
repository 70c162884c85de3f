"""The tables of waivers and retries: who let what in, since when and why."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from storage.errors import InputError
from storage.tables.store import Store
from storage.tables.waivers import Retries, Waivers

NIGHT = datetime(2026, 1, 1, 23, tzinfo=UTC)
LATER = NIGHT + timedelta(hours=9)
ROW = {"key": "ab", "source": "notes", "document": "a.md", "revision": "r1"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_a_store_in_which_nobody_decided_anything_has_no_decision(store: Store) -> None:
    assert (Waivers(store).all(), Waivers(store).lift(["x"], "anna@one", NIGHT)) == ([], [])
    assert Retries(store).asked().is_empty()


def test_a_waiver_stands_until_it_is_lifted_and_is_remembered_then(store: Store) -> None:
    waivers = Waivers(store)
    placed = waivers.place(ROW, "content-length", "1.ab", "the boss\n  wants it", "anna@one", NIGHT)
    assert waivers.standing() == [placed]
    assert placed.told == "waived since 2026-01-01 23:00 UTC by anna@one: the boss wants it"
    waivers.bind({placed.waiver: "c1", "another": "c2"})
    assert waivers.standing()[0].content == "c1"
    waivers.bind({placed.waiver: "c3"})  # it is bound once
    (lifted,) = waivers.lift([placed.waiver], "ben@two", LATER)
    assert (lifted.content, lifted.ended, lifted.ended_by) == ("c1", LATER, "ben@two")
    assert (waivers.standing(), waivers.all()) == ([], [lifted])


def test_a_second_waiver_of_the_same_rule_takes_the_place_of_the_first(store: Store) -> None:
    waivers = Waivers(store)
    first = waivers.place(ROW, "content-length", "1.ab", "one", "anna@one", NIGHT)
    other = waivers.place(ROW, "licence-allowed", "1.cd", "two", "anna@one", NIGHT)
    second = waivers.place(ROW | {"revision": "r2"}, "content-length", "1.ab", "three", "ben@two", LATER)
    assert waivers.standing() == [second, other]
    assert [each.waiver for each in waivers.all() if each.ended] == [first.waiver]


def test_a_waiver_has_a_reason_without_secrets(store: Store) -> None:
    with pytest.raises(InputError, match="a waiver needs a reason"):
        Waivers(store).place(ROW, "content-length", "1.ab", " \n", "anna@one", NIGHT)
    placed = Waivers(store).place(ROW, "r", "1", "see https://anna:s3cret@wiki/x?token=s3cret", "anna@one", NIGHT)
    assert "s3cret" not in str(placed) + str(Waivers(store).all())


def test_the_newest_request_of_a_document_counts(store: Store) -> None:
    retries = Retries(store)
    assert retries.ask([ROW, ROW | {"key": "cd"}], "anna@one", NIGHT) == 2
    assert retries.ask([ROW], "ben@two", LATER) == 1
    assert sorted(retries.asked().iter_rows()) == [("ab", LATER), ("cd", NIGHT)]
    assert retries.ask([], "ben@two", LATER) == 0
