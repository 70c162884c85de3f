"""The holds table: who keeps readers where, since when and why."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from storage.errors import InputError
from storage.tables.holds import Holds, whoever
from storage.tables.store import Store

NIGHT = datetime(2026, 1, 1, 23, tzinfo=UTC)
LATER = NIGHT + timedelta(hours=9)


@pytest.fixture
def holds(tmp_path: Path) -> Holds:
    return Holds(Store(tmp_path / "store"))


def test_a_store_that_nobody_held_has_no_hold(holds: Holds) -> None:
    assert (holds.all(), holds.standing(), holds.lift("anna@one", NIGHT)) == ([], [], [])


def test_a_hold_stands_until_it_is_lifted_and_is_remembered_then(holds: Holds) -> None:
    placed = holds.place("bad\n  chunks", "anna@one", 4, NIGHT)
    assert holds.standing() == [placed]
    assert placed.told == "since 2026-01-01 23:00 UTC by anna@one: bad chunks"
    (lifted,) = holds.lift("ben@two", LATER)
    assert holds.standing() == []
    assert holds.all() == [lifted]
    assert (lifted.since, lifted.release, lifted.ended, lifted.ended_by) == (NIGHT, 4, LATER, "ben@two")
    assert holds.lift("carol@one", LATER) == []


def test_each_of_several_stands_for_itself(holds: Holds) -> None:
    first, second = holds.place("one", "anna@one", 4, NIGHT), holds.place("two", "ben@two", 4, LATER)
    assert holds.standing() == [second, first]
    assert [each.hold for each in holds.lift("anna@one", LATER, first.hold)] == [first.hold]
    assert holds.standing() == [second]


def test_a_hold_is_told_the_release_that_it_keeps(holds: Holds) -> None:
    placed = holds.place("one", "anna@one", 4, NIGHT)
    assert holds.keep(placed, 4) == placed
    assert holds.keep(placed, 5).release == 5
    assert [each.release for each in holds.all()] == [5]


def test_a_hold_has_a_reason_without_secrets(holds: Holds) -> None:
    with pytest.raises(InputError, match="a hold needs a reason"):
        holds.place(" \n", "anna@one", 4, NIGHT)
    placed = holds.place("see https://anna:s3cret@wiki/x?token=s3cret", "anna@one", None, NIGHT)
    assert "s3cret" not in str(holds.all()) + str(placed)


def test_a_user_without_a_name_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr("getpass.getuser", nameless)
    user, _, host = whoever().partition("@")
    assert user.isdecimal()
    assert host
