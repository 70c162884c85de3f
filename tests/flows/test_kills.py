"""A run killed with -9 at any moment costs nothing but its time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from signal import SIGKILL
from time import sleep
from typing import Any

import pytest
from killing import Child, End, Orders, rolled_back
from nights import (
    VALUES,
    Night,
    answer,
    current,
    entries,
    first_night,
    merging_night,
    refused,
    second_night,
    staged,
    state,
    switching_night,
    tidying_night,
    uneventful,
)

from flows.audit import audit
from flows.config.schema import Config
from storage.hashing import digest
from storage.reader import Reader
from storage.tables.releases import Releases
from storage.tables.runs import Runs
from storage.tables.store import Store

WATCHED = "drift.lance"
VACUUM = "commit cleanup_old_versions"
STARTED, FINISHED = "after commit insert runs 1", "after commit execute runs 1"
PUBLISHED = "after commit execute releases 1"


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Night:
    return first_night(tmp_path_factory.mktemp("first"))


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Night:
    return second_night(tmp_path_factory.mktemp("second"))


@pytest.fixture(scope="module")
def switching(tmp_path_factory: pytest.TempPathFactory) -> Night:
    return switching_night(tmp_path_factory.mktemp("switching"))


@pytest.fixture(scope="module")
def tidying(tmp_path_factory: pytest.TempPathFactory) -> Night:
    return tidying_night(tmp_path_factory.mktemp("tidying"))


@pytest.fixture(scope="module")
def merging(tmp_path_factory: pytest.TempPathFactory) -> Night:
    return merging_night(tmp_path_factory.mktemp("merging"))


def examine(night: Night, uri: Path) -> None:
    """After a kill: readers have one whole release, the next run finishes, and nothing is done twice or left behind."""
    released = current(uri)
    done = released is not None and released.seq > night.before
    if released is None:
        assert night.before == 0
    else:
        assert released.seq == night.before + done
        assert answer(Reader.open(str(uri))) == (night.new if done else night.old)

    kept = staged(uri, night.end.value.space)
    assert len(kept) == len(set(kept))
    with night.refresh(uri) as child:
        end = child.end()
    assert end.value is not None, end.failure
    assert end.value.outcome == ("unchanged" if done else "published")
    embedded = [digest(text) for text in end.texts if digest(text) in night.final.hashes]
    needed = {digest(text) for text in night.end.texts} & night.final.hashes
    assert sorted(embedded) == ([] if done else sorted(needed - set(kept)))
    assert end.value.counts["embedded"] == len(embedded)

    reader = Reader.open(str(uri))
    assert reader.release.seq == night.before + 1
    assert state(uri, reader.release) == night.final
    assert answer(reader) == night.new
    assert audit(Config.from_mapping(night.settings(uri), night.folder), deep=True).failed == []
    assert refused(uri) == night.refused
    assert not (uri / ".work").exists()
    if not done:  # else the night ended unpublished, and the next published one cleans up
        # What a killed run sang is something to compare with, which a first night has not: so one more table is there.
        assert {*entries(uri)} - {WATCHED} == {*night.entries} - {WATCHED}
        owned = {release.tag for release in Releases(Store(uri)).all()}
        assert {tag for name in reader.release.tables for tag in Store(uri).open(name).tags.list()} <= owned


def outcomes(uri: Path, known: Sequence[str] = ()) -> list[tuple[str, int | None]]:
    """Outcome and release of the refreshes recorded since, the oldest first."""
    rows = [row for row in Runs(Store(uri)).all() if row["kind"] == "refresh" and row["run"] not in known]
    return [(row["outcome"], row["release"]) for row in reversed(rows)]


def die(night: Night, at: int, then: Callable[[Night, Path], None] = examine) -> None:
    """Kill one run at a moment and examine what is left."""
    uri = night.case(f"at-{at}")
    held = Reader.open(str(uri)) if night.before else None
    known = [row["run"] for row in Runs(Store(uri)).all()]
    with night.refresh(uri, at) as child:
        assert child.end().killed
    then(night, uri)
    if held is not None and "releases" not in night.settings(uri):  # where releases are let go, this one is
        assert answer(held) == night.old
    started, finished, published = (at >= night.end.moments.index(one) for one in (STARTED, FINISHED, PUBLISHED))
    release = night.before + 1 if published else None
    told = [("published" if finished else "interrupted", release)] if started else []
    assert outcomes(uri, known)[: len(told)] == told
    assert "running" not in dict(outcomes(uri))


def die_somewhere(night: Night, number: int) -> None:
    """Kill one run after a random time and examine what is left."""
    share = Random(number).random()
    end = End(0)
    while not end.killed:
        uri = night.case(f"some-{number}")
        with night.refresh(uri) as child:
            child.begun()
            sleep(share * night.end.value.seconds["total"])
            child.send(SIGKILL)
            end = child.end()
        share *= 0.8  # the run was done already
    examine(night, uri)


def each(work: Callable[[Any], None], items: Sequence[Any], name: Callable[[Any], str] = str) -> list[str]:
    """Do some work for each item, two at a time; gives back what went wrong."""

    def one(item: Any) -> str | None:
        try:
            work(item)
        except AssertionError as error:
            return f"{name(item)}: {error}"
        return None

    with ThreadPoolExecutor(2) as pool:
        return [found for found in pool.map(one, items) if found]


def die_at_all(night: Night, moments: Sequence[int], then: Callable[[Night, Path], None] = examine) -> None:
    """Kill a run at each of these moments."""
    assert each(lambda at: die(night, at, then), moments, night.end.moments.__getitem__) == []


def moments(night: Night, *kinds: str) -> list[int]:
    """Moments of these kinds; of all the vacuums only the first."""
    return [
        at
        for at, moment in enumerate(night.end.moments)
        if moment.startswith(kinds) and (VACUUM not in moment or moment == f"after {VACUUM} chunks 1")
    ]


# Each third moment, for most commits are those of every night: one takes what another leaves, and the slow test
# below takes all of all.


def test_a_first_build_can_be_killed_after_each_third_commit(first: Night) -> None:
    chosen = moments(first, "after commit", "after file")
    assert len(chosen) >= 20
    die_at_all(first, chosen[::3])


def test_a_night_of_changes_can_be_killed_after_each_third_commit(second: Night) -> None:
    chosen = moments(second, "after commit")
    assert len(chosen) >= 20
    die_at_all(second, chosen[1::3])


def test_a_change_of_encoder_can_be_killed_after_each_third_commit(switching: Night) -> None:
    begun = switching.end.moments.index("before stage embed 1")
    die_at_all(switching, [at for at in moments(switching, "after commit", "after file") if at > begun][::3])


def tidied(night: Night, uri: Path) -> None:
    """The next published release leaves nothing of those that were let go."""
    examine(night, uri)
    settings = night.settings(uri) | {"chunker": {"min_tokens": 60}}
    assert uneventful(night.folder, settings).value.outcome == "published"
    assert {*entries(uri)} - {WATCHED} == {*night.entries} - {WATCHED}
    assert [release.seq for release in Releases(Store(uri)).retained()] == [night.before + 2]


def test_a_clean_up_can_be_killed_at_each_third_step(tidying: Night) -> None:
    begun = tidying.end.moments.index("after stage publish 1")
    steps = moments(tidying, "after commit delete", "after commit drop", "after file", f"after {VACUUM}")
    chosen = [at for at in steps if begun < at < tidying.end.moments.index(FINISHED)]
    assert len(chosen) >= 8
    die_at_all(tidying, chosen[::3], tidied)


def test_a_merge_of_the_parts_of_a_full_text_index_can_be_killed_at_each_step(merging: Night) -> None:
    steps = ("create_index_uncommitted", "commit_existing_index_segments")
    chosen = moments(merging, *(f"{when} commit {step}" for when in ("before", "after") for step in steps))
    assert len(chosen) == 4
    die_at_all(merging, chosen[1:])


def back(night: Night, uri: Path, at: int | None = None) -> End:
    """Run a rollback."""
    with Child(rolled_back, night.settings(uri), night.folder, orders=Orders(at, values=VALUES)) as child:
        return child.end()


def test_a_rollback_can_be_killed_at_each_step(second: Night) -> None:
    steps = back(second, second.case("back", done=True)).moments
    assert len(steps) >= 6

    def step(at: int) -> None:
        uri = second.case(f"back-{at}", done=True)
        assert back(second, uri, at).killed
        returned = at >= steps.index(PUBLISHED)
        released = current(uri)
        assert released is not None
        assert (released.seq, released.outcome) == ((3, "rollback") if returned else (2, "published"))
        assert answer(Reader.open(str(uri))) == (second.old if returned else second.new)
        if not returned:
            again = back(second, uri)
            assert again.value is not None, again.failure
        assert answer(Reader.open(str(uri))) == second.old
        end = uneventful(second.folder, second.settings(uri))
        assert (end.value.outcome, end.value.release, end.value.counts["embedded"]) == ("published", 4, 0)
        assert state(uri, Reader.open(str(uri)).release) == second.final
        assert audit(Config.from_mapping(second.settings(uri), second.folder), deep=True).failed == []

    assert each(step, range(len(steps)), lambda at: steps[at]) == []


def test_a_run_killed_again_and_again_never_starts_over(first: Night) -> None:
    uri = first.case("again")
    for count in range(1, 4):
        with first.refresh(uri, "after commit insert vectors 1") as child:
            assert child.end().killed
        assert len(staged(uri, first.end.value.space)) == count * VALUES["tasks.build.embed:LARGEST"]
    examine(first, uri)
    assert outcomes(uri) == [("interrupted", None)] * 3 + [("published", 1)]


def test_runs_can_be_killed_at_any_time(first: Night, second: Night, switching: Night, tidying: Night) -> None:
    nights = [first, second, switching, tidying]
    assert each(lambda number: die_somewhere(nights[number % 4], number), range(8)) == []


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_runs_can_be_killed_at_every_moment(
    first: Night, second: Night, merging: Night, switching: Night, tidying: Night
) -> None:
    for night in (first, second, merging, switching, tidying):
        die_at_all(night, range(len(night.end.moments)))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_runs_can_be_killed_at_300_times(first: Night, second: Night, switching: Night, tidying: Night) -> None:
    nights = [first, second, switching, tidying]
    assert each(lambda number: die_somewhere(nights[number % 4], number), range(100, 400)) == []
