"""Releases: published once, pinned, rolled back and let go."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from drafts import drafted
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.errors import InputError, ReleaseMoved
from storage.tables.releases import Release, Releases
from storage.tables.roles import IndexFacts
from storage.tables.store import Store

SCHEMA = pa.schema([("n", pa.int64())])
TABLES = ("documents", "chunks__a")


@pytest.fixture(params=["local", "remote"])
def releases(request: pytest.FixtureRequest, tmp_path: Path) -> Releases:
    return Releases(Store(tmp_path / "store" if request.param == "local" else request.getfixturevalue("bucket")))


def night(releases: Releases, number: int, tables: tuple[str, ...] = TABLES, **facts: Any) -> Release:
    """Write a row to every table and publish them."""
    for name in tables:
        releases.store.append(name, SCHEMA, [pa.RecordBatch.from_pylist([{"n": number}], schema=SCHEMA)])
    versions = {name: releases.store.open(name).version for name in tables}
    current = releases.current()
    return releases.publish(0 if current is None else current.seq, drafted(versions, run=f"run{number}", **facts))


def numbers(releases: Releases, release: Release, table: str = "documents") -> list[int]:
    return releases.store.open(table, release.tables[table]).to_table()["n"].to_pylist()


def tags(releases: Releases, table: str = "documents") -> set[str]:
    return set(releases.store.open(table).tags.list())


def test_nothing_is_published_at_first(releases: Releases) -> None:
    assert (releases.current(), releases.all(), releases.retained(), releases.expire(1)) == (None, [], [], [])
    for wanted in (None, 1):
        with pytest.raises(InputError, match="nothing is published yet; run `tidemark refresh`"):
            releases.get(wanted)


def test_a_release_is_read_back_as_it_was_published(releases: Releases) -> None:
    made = night(releases, 1, counts={"documents": 1}, message="1 document")
    assert releases.current() == releases.get() == releases.get(1) == made
    assert (made.seq, made.chunks, made.restored, made.tables) == (
        1,
        "chunks__a",
        None,
        {"documents": 2, "chunks__a": 2},
    )
    assert (made.counts, made.text.index) == ({"documents": 1}, IndexFacts())
    assert tags(releases, "documents") == tags(releases, "chunks__a") == {made.tag}
    with pytest.raises(InputError, match="no release 2; the newest is 1"):
        releases.get(2)


def test_releases_count_up_and_come_newest_first(releases: Releases) -> None:
    made = [night(releases, number) for number in (1, 2, 3)]
    assert releases.all() == releases.retained() == made[::-1]
    assert [numbers(releases, release) for release in made] == [[1], [1, 2], [1, 2, 3]]


def test_of_two_that_publish_on_one_base_the_second_changes_nothing(releases: Releases) -> None:
    base = night(releases, 1)
    tables = dict(base.tables)
    winner = releases.publish(1, drafted(tables, run="quick"))
    with pytest.raises(ReleaseMoved, match=r"release 2 was published by another run .* on top of 1"):
        releases.publish(1, drafted(tables, run="slow"))
    assert [release.run for release in releases.all()] == ["quick", "run1"]
    assert tags(releases) == {base.tag, winner.tag}


def test_a_rollback_points_back_and_keeps_the_facts(releases: Releases) -> None:
    first = night(releases, 1, counts={"documents": 1})
    night(releases, 2, counts={"documents": 2})
    back = releases.rollback(None, "r3")
    assert (back.seq, back.outcome, back.run, back.restored) == (3, "rollback", "r3", 1)
    assert (back.tables, back.counts, back.space) == (first.tables, {"documents": 1}, first.space)
    assert back.message == "back to release 1 from 2"
    assert releases.get() == back
    assert numbers(releases, back) == [1]


def test_rollbacks_in_a_row_go_further_back(releases: Releases) -> None:
    for number in (1, 2, 3):
        night(releases, number)
    seen = [releases.rollback(None, "r").restored for _ in range(2)]
    assert seen == [2, 1]
    with pytest.raises(InputError, match="no release before 5"):
        releases.rollback(None, "r")


def test_a_rollback_of_a_rollback_returns_to_what_was_left(releases: Releases) -> None:
    for number in (1, 2):
        night(releases, number)
    releases.rollback(1, "r")
    again = releases.rollback(2, "r")
    assert (again.seq, again.restored, numbers(releases, again)) == (4, 2, [1, 2])
    assert releases.rollback(3, "r").tables == releases.get(1).tables


def test_after_a_rollback_and_a_night_the_way_back_leads_past_what_was_rolled_back(releases: Releases) -> None:
    for number in (1, 2):
        night(releases, number)
    releases.rollback(1, "r")
    releases.store.restore("documents", releases.get().tables["documents"])
    night(releases, 4)
    back = releases.rollback(None, "r")
    assert back.restored == 1
    assert numbers(releases, back) == [1]


@pytest.mark.parametrize(
    ("to", "reason"),
    [
        (3, "release 3 is what readers see already"),
        (1, "release 1 is what readers see already"),  # 3 points to it
        (9, "there is no release 9"),
        (10**20, "there is no release 100000000000000000000"),
    ],
)
def test_a_rollback_that_makes_no_sense_is_refused(releases: Releases, to: int, reason: str) -> None:
    for number in (1, 2):
        night(releases, number)
    releases.rollback(1, "r")
    with pytest.raises(InputError, match=reason):
        releases.rollback(to, "r")
    assert releases.get().seq == 3


def test_a_rollback_to_what_is_no_longer_kept_names_what_is(releases: Releases) -> None:
    for number in (1, 2, 3, 4):
        night(releases, number)
    releases.expire(2)
    with pytest.raises(InputError, match=r"release 1 is no longer kept .* one of: 4, 3$"):
        releases.rollback(1, "r")


def test_expiry_keeps_the_newest_states_and_what_rollbacks_point_to(releases: Releases) -> None:
    for number in (1, 2, 3):
        night(releases, number)
    releases.rollback(1, "r")
    assert releases.expire(2) == [2]
    assert [release.seq for release in releases.retained()] == [4, 3, 1]
    assert releases.expire(2) == []


def test_what_is_kept_survives_a_clean_up_and_what_is_let_go_does_not(releases: Releases) -> None:
    made = [night(releases, number) for number in (1, 2, 3)]
    releases.expire(2)
    for name in TABLES:
        releases.store.vacuum(name, timedelta(0))
    assert [numbers(releases, release, name) for release in made[1:] for name in TABLES] == [[1, 2]] * 2 + [
        [1, 2, 3]
    ] * 2
    with pytest.raises(InputError, match="at version"):
        numbers(releases, made[0])


def test_tags_without_a_release_go_unless_they_may_still_get_one(releases: Releases) -> None:
    made = [night(releases, number) for number in (1, 2)]
    table = releases.store.open("documents")
    for tag in ("rel-2-dead", "rel-3-coming", "mine"):
        table.tags.create(tag, table.version)
    releases.expire(5)
    assert tags(releases) == {*(release.tag for release in made), "rel-3-coming", "mine"}


def test_an_expiry_cut_short_between_two_tables_is_finished_the_next_time(releases: Releases) -> None:
    made = [night(releases, number) for number in (1, 2)]
    releases.store.open("chunks__a").tags.delete(made[0].tag)
    assert releases.retained() == made[1:]
    releases.expire(1)
    assert tags(releases, "documents") == tags(releases, "chunks__a") == {made[1].tag}


def test_a_release_whose_table_is_lost_is_not_retained(releases: Releases) -> None:
    made = [night(releases, 1), night(releases, 2, ("documents", "chunks__b"))]
    releases.store.drop("chunks__a")
    assert releases.retained() == made[1:]
    assert releases.all() == made[::-1]


def test_it_is_known_which_tables_and_runs_there_ever_were(releases: Releases) -> None:
    assert (releases.tables(), releases.made_by(["run1"])) == (set(), {})
    night(releases, 1)
    night(releases, 2, ("documents", "chunks__b"))
    releases.expire(1)
    assert releases.tables() == {"documents", "chunks__a", "chunks__b"}
    assert releases.made_by(["run2", "run9", "' OR '1'='1"]) == {"run2": 2}


def test_a_brief_list_leaves_out_what_is_bulky(releases: Releases) -> None:
    made = night(releases, 1, config={"a": 1}, audit={"ok": True}, code={"c": 1}, counts={"documents": 1})
    [brief] = releases.all(brief=True)
    assert brief == replace(made, config={}, audit={}, code={}, intact=None)


STEPS = st.lists(st.sampled_from(["night", "back", "expire"]), max_size=8)


@settings(max_examples=8, deadline=None)
@given(steps=STEPS)
def test_whatever_happens_the_current_release_is_kept_and_readable(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    releases = Releases(Store(tmp_path_factory.mktemp("store")))
    wanted = [1]
    night(releases, 1)
    for number, step in enumerate(steps, start=2):
        if step == "night":
            releases.store.restore("documents", releases.get().tables["documents"])
            night(releases, number)
            wanted = [*wanted, number]
        elif step == "expire":
            releases.expire(2)
            for name in TABLES:
                releases.store.vacuum(name, timedelta(0))
        else:
            try:
                wanted = numbers(releases, releases.rollback(None, "r"))
            except InputError:
                continue
        assert numbers(releases, releases.get()) == wanted
        assert releases.get() in releases.retained()
