"""Several writers at one store: one of them writes, and the others are told."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path
from signal import SIGCONT, SIGSTOP
from typing import Any

import pytest
from killing import Child, Failure, Orders, command, refreshed, rolled_back
from nights import VALUES, Night, answer, current, mapping, second_night, staged, state, uneventful

from flows.audit import audit
from flows.config.schema import Config
from storage.reader import Reader
from storage.tables.releases import Releases
from storage.tables.store import Store

EXPIRED = {"storage.tables.lease:_EXPIRY": timedelta(seconds=0.3)}
ELSEWHERE = {"storage.tables.lease:_machine": partial(str, "another machine"), "storage.tables.lease:_RENEW": 0.1}


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Night:
    return second_night(tmp_path_factory.mktemp("night"))


@pytest.fixture
def children() -> Iterator[ExitStack]:
    """Kills what a failed test leaves stopped."""
    with ExitStack() as stack:
        yield stack


def halted(children: ExitStack, settings: dict[str, Any], folder: Path, at: str, **values: Any) -> Child:
    """A refresh that stops itself at a moment."""
    orders = Orders(at, SIGSTOP, VALUES | values)
    child = children.enter_context(Child(refreshed, settings, folder, orders=orders))
    child.stopped()
    return child


def whole(night: Night, uri: Path) -> bool:
    """Whether the current release is the night's, whole, and another run finds nothing to do."""
    assert state(uri, Reader.open(str(uri)).release) == night.final
    assert audit(Config.from_mapping(night.settings(uri), night.folder), deep=True).failed == []
    return uneventful(night.folder, night.settings(uri)).value.outcome == "unchanged"


def test_a_second_refresh_says_who_holds_the_store_and_since_when(night: Night, children: ExitStack) -> None:
    uri = night.case("held")
    config = night.folder / "tidemark.toml"
    config.write_text(
        f'[store]\nuri = "{uri}"\n[encoder]\nname = "stub"\n'
        f'[[sources]]\nname = "notes"\nkind = "folder"\npath = "{night.folder / "notes"}"\n'
    )
    holder = halted(children, night.settings(uri), night.folder, "before stage embed 1")
    with Child(command, "-c", str(config), "refresh", "--json") as second:
        code, out, err = second.end().value
    assert (code, out) == (4, "")
    told = (
        rf"held by run \d{{8}}-\d{{6}}-\w+ \(process {holder.pid} on \S+\) since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d UTC"
    )
    assert re.search(told, err), err
    holder.send(SIGCONT)
    assert holder.end().value.outcome == "published"
    with Child(command, "-c", str(config), "refresh", "--json") as third:
        code, out, err = third.end().value
    assert (code, json.loads(out)["outcome"]) == (0, "unchanged"), err
    assert whole(night, uri)


def test_of_refreshes_that_begin_together_on_an_empty_store_one_works(night: Night) -> None:
    for attempt in range(3):
        uri = night.folder / "cases" / f"together-{attempt}"
        settings = night.settings(uri)
        with ExitStack() as stack:
            racers = [stack.enter_context(Child(refreshed, settings, night.folder)) for _ in range(3)]
            ends = [racer.end() for racer in racers]
        outcomes = sorted(end.failure.kind if end.failure else end.value.outcome for end in ends)
        assert outcomes.count("published") == 1
        # One that came when the first had finished found nothing to do.
        assert set(outcomes) <= {"published", "unchanged", "LeaseHeld"}
        assert uneventful(night.folder, settings).value.outcome == "unchanged"


def test_the_lease_of_a_dead_process_is_taken_over(night: Night) -> None:
    uri = night.case("dead")
    with night.refresh(uri, "before stage embed 1") as child:
        assert child.end().killed
    assert uneventful(night.folder, night.settings(uri)).value.outcome == "published"
    leases = sorted(Store(uri).open("leases").to_table().to_pylist(), key=lambda row: int(row["token"]))
    assert [row["released"] for row in leases][-2:] == [False, True]
    assert leases[-1]["token"] == leases[-2]["token"] + 1


@pytest.mark.parametrize(
    ("moment", "kind"),
    [
        ("before stage embed 1", None),
        ("before commit insert chunks 1", None),
        ("before stage publish 1", "LeaseHeld"),
        ("before commit execute releases 1", "ReleaseMoved"),
    ],
)
def test_a_writer_that_slept_past_its_lease_publishes_nothing(
    night: Night, children: ExitStack, moment: str, kind: str | None
) -> None:
    uri = night.case(f"stale-{moment}")
    stale = halted(children, night.settings(uri), night.folder, moment, **ELSEWHERE)
    with Child(refreshed, night.settings(uri), night.folder) as early:
        refusal = early.end().failure
    assert isinstance(refusal, Failure)
    assert (refusal.kind, refusal.exit_code) == ("LeaseHeld", 4)
    time.sleep(0.4)
    assert uneventful(night.folder, night.settings(uri), **EXPIRED).value.release == 2
    published = current(uri)
    stale.send(SIGCONT)
    failure = stale.end().failure
    assert failure is not None
    if kind is not None:
        assert failure.kind == kind
    assert current(uri) == published
    assert whole(night, uri)


def test_two_writers_in_each_others_tables_publish_nothing_mixed(night: Night, children: ExitStack) -> None:
    uri = night.case("interleaved")
    halt = "before commit insert documents 1"
    stale = halted(children, night.settings(uri), night.folder, halt, **ELSEWHERE)
    time.sleep(0.4)
    fresh = halted(children, night.settings(uri), night.folder, halt, **EXPIRED)
    stale.send(SIGCONT)
    late = stale.end()
    assert late.value is None or late.value.outcome == "refused"
    fresh.send(SIGCONT)
    end = fresh.end()
    assert answer(Reader.open(str(uri))) in {night.old, night.new}
    assert end.value is None or end.value.outcome in {"refused", "published"}
    uneventful(night.folder, night.settings(uri))
    assert whole(night, uri)


@pytest.mark.parametrize(
    "moment", ["before stage embed 1", "before stage publish 1", "before commit execute releases 1"]
)
def test_a_rollback_beats_a_refresh_at_work(night: Night, children: ExitStack, moment: str) -> None:
    uri = night.case(f"beaten-{moment}", done=True)
    settings = mapping(uri, night.folder / "notes", encoder="stub:2")
    refresh = halted(children, settings, night.folder, moment)
    with Child(rolled_back, night.settings(uri), night.folder) as child:
        end = child.end()
    assert (end.value.release, end.value.restored) == (3, 1)
    refresh.send(SIGCONT)
    failure = refresh.end().failure
    assert failure is not None
    assert (failure.kind, failure.exit_code) == ("ReleaseMoved", 4)
    assert answer(Reader.open(str(uri))) == night.old
    again = uneventful(night.folder, settings)
    assert (again.value.release, again.value.counts["embedded"]) == (4, 0)
    assert not staged(uri, again.value.space)


@pytest.mark.parametrize(
    ("moment", "wins"),
    [
        ("before commit create chunks 1", False),
        ("before commit create documents 1", False),
        ("before commit execute releases 1", True),
    ],
)
def test_a_rollback_to_a_release_that_is_let_go_meanwhile_is_whole_or_none(
    night: Night, children: ExitStack, moment: str, wins: bool
) -> None:
    uri = night.case(f"let-go-{moment}")
    settings = mapping(uri, night.folder / "notes", releases={"keep": 1})
    refresh = halted(children, settings, night.folder, "before stage clean_up 1")
    orders = Orders(moment, SIGSTOP, VALUES)
    back = children.enter_context(Child(rolled_back, settings, night.folder, 1, orders=orders))
    back.stopped()
    refresh.send(SIGCONT)
    assert refresh.end().value.release == 2
    back.send(SIGCONT)
    end = back.end()
    released = current(uri)
    assert released is not None
    assert released.seq == (3 if wins else 2)
    assert answer(Reader.open(str(uri))) == (night.old if wins else night.new)
    if not wins:
        assert end.failure is not None
    uneventful(night.folder, night.settings(uri))
    assert whole(night, uri)


def test_of_three_racing_publishes_one_wins(night: Night, children: ExitStack) -> None:
    uri = night.case("race", done=True)
    for seq in range(3, 7):
        orders = Orders("before commit execute releases 1", SIGSTOP)
        to = 1 if seq % 2 else 2
        racers = [Child(rolled_back, night.settings(uri), night.folder, to, orders=orders) for _ in range(3)]
        for racer in racers:
            children.enter_context(racer)
            racer.stopped()
        for racer in racers:
            racer.send(SIGCONT)
        ends = [racer.end() for racer in racers]
        assert [end.value.release for end in ends if end.value is not None] == [seq]
        assert [end.failure.kind for end in ends if end.failure is not None] == ["ReleaseMoved"] * 2
        released = Releases(Store(uri)).get()
        assert (released.seq, released.restored) == (seq, to)
        assert answer(Reader.open(str(uri))) == (night.old if to == 1 else night.new)
        for name in released.tables:
            tags = [tag for tag in Store(uri).open(name).tags.list() if tag.startswith(f"rel-{seq}-")]
            assert tags == [released.tag]
