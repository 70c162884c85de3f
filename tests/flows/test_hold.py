"""A hold: nights build and are judged, and readers keep what they have, whoever publishes at that very moment."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from signal import SIGCONT, SIGSTOP
from threading import Timer

import pytest
from commands import corpus, tidemark, told
from corpus import configure, documents, prose, save
from killing import Child, Orders, refreshed
from nights import VALUES, Night, answer, second_night, staged

from flows.config.schema import Config
from flows.exits import exit_code
from flows.hold import hold, unhold
from flows.plan import plan
from flows.reembed import reembed
from flows.refresh import refresh
from flows.rollback import rollback
from storage.errors import InputError
from storage.reader import Reader
from storage.tables.holds import Holds
from storage.tables.releases import Releases
from storage.tables.runs import Runs
from storage.tables.store import Store
from storage.tables.tags import tags_of


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Night:
    return second_night(tmp_path_factory.mktemp("night"))


@pytest.fixture
def children() -> Iterator[ExitStack]:
    """Kills what a failed test leaves stopped."""
    with ExitStack() as stack:
        yield stack


def test_held_nights_build_and_publish_nothing_and_the_night_after_embeds_nothing(
    config: Config, tmp_path: Path
) -> None:
    store = Store(config.store.uri)
    hold(store, "the chunker is suspect")
    for count, name in enumerate(("chart", "drift"), 1):
        save(tmp_path / "notes", {f"{name}.md": prose(name)})
        foreseen, held = plan(config), refresh(config)
        assert (held.outcome, held.release, held.counts["added"]) == ("held", 2, count)
        assert exit_code(held.outcome) == 3
        assert {"embed", "write", "index", "audit", "publish"} <= held.seconds.keys()
        assert foreseen.outcome == "held"
        for message in (held.message, foreseen.message):
            assert "is held since" in message
            assert "the chunker is suspect" in message
        row = Runs(store).get(held.run)
        assert (row["outcome"], row["release"], row["message"]) == ("held", 2, held.message)
        assert sorted(documents(config)) == ["notes/a.md", "notes/b.md"]
    assert held.counts["embedded"] > 0
    assert all(tag.startswith(("rel-1-", "rel-2-")) for tag in tags_of(store.open("documents")))
    (lifted,) = unhold(store).holds
    assert (lifted.why, lifted.release, lifted.ended is None) == ("the chunker is suspect", 2, False)
    free = refresh(config)
    assert (free.outcome, free.release, free.counts["added"], free.counts["embedded"]) == ("published", 3, 2, 0)


def test_a_held_night_without_news_is_a_night_without_news(config: Config) -> None:
    hold(Store(config.store.uri), "wait")
    assert (plan(config).outcome, refresh(config).outcome) == ("unchanged", "unchanged")


def test_a_held_reembedding_goes_on_for_nothing_once_it_is_let(config: Config) -> None:
    store = Store(config.store.uri)
    hold(store, "wait")
    assert plan(config, encoder="stub:3").outcome == "held"
    held = reembed(config, encoder="stub:3")
    assert (held.outcome, held.release) == ("held", 2)
    assert staged(config.store.uri, held.space)  # what it embedded is there for the next
    unhold(store)
    assert reembed(config, encoder="stub:3").outcome == "published"
    assert not staged(config.store.uri, held.space)


def test_a_rollback_with_a_hold_lasts(config: Config) -> None:
    result = rollback(config, hold="release 2 is bad")
    assert (result.release, result.restored, result.hold) == (3, 1, "release 2 is bad")
    assert "stays until `tidemark unhold`: release 2 is bad" in result.message
    assert refresh(config).outcome == "held"
    assert rollback(config, 2).release == 4  # a person may, as ever
    assert rollback(config, 1).release == 5
    store = Store(config.store.uri)
    assert [each.release for each in Holds(store).standing()] == [3]
    unhold(store)
    assert refresh(config).release == 6


def test_a_rollback_that_does_not_come_about_leaves_no_hold(config: Config) -> None:
    with pytest.raises(InputError, match="no release 9"):
        rollback(config, 9, hold="release 2 is bad")
    with pytest.raises(InputError, match="needs a reason"):
        rollback(config, 1, hold=" ")
    assert Holds(Store(config.store.uri)).standing() == []
    assert Releases(Store(config.store.uri)).newest() == 2


def test_a_store_may_be_held_before_its_first_release(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor")})
    store = Store(config.store.uri)
    assert hold(store, "not yet").message == "nothing is published yet, and stays so until `tidemark unhold`"
    assert (refresh(config).outcome, Releases(store).newest()) == ("held", None)
    unhold(store)
    assert (refresh(config).outcome, unhold(store).message) == ("published", "nothing is held")


@pytest.mark.parametrize(
    "moment", ["before stage embed 1", "before stage publish 1", "after commit create documents 1"]
)
def test_a_run_at_work_sees_the_hold_before_it_publishes(night: Night, children: ExitStack, moment: str) -> None:
    uri = night.case(f"held-{moment}")
    child = children.enter_context(
        Child(refreshed, night.settings(uri), night.folder, orders=Orders(moment, SIGSTOP, VALUES))
    )
    child.stopped()
    placed = hold(Store(uri), "stop", patience=0.2)
    assert placed.release == 1
    child.send(SIGCONT)
    end = child.end()
    assert (end.value.outcome, end.value.release) == ("held", 1)
    assert answer(Reader.open(str(uri))) == night.old
    store = Store(uri)
    for table in ("documents", Releases(store).get().chunks):
        assert not [tag for tag in tags_of(store.open(table)) if tag.startswith("rel-2-")]


def test_a_hold_waits_for_a_run_that_is_past_its_last_look(night: Night, children: ExitStack) -> None:
    uri = night.case("past")
    orders = Orders("before commit execute releases 1", SIGSTOP, VALUES)
    child = children.enter_context(Child(refreshed, night.settings(uri), night.folder, orders=orders))
    child.stopped()
    unsure = hold(Store(uri), "stop", patience=0.2)
    assert "is about to publish at this very moment" in unsure.message
    later = Timer(0.5, child.send, [SIGCONT])
    later.start()
    sure = hold(Store(uri), "stop")
    assert (sure.release, sure.message) == (2, "readers keep release 2 until `tidemark unhold`")
    assert sure.holds[0].release == 2
    assert child.end().value.release == 2


def test_the_commands_tell_who_holds_and_why(tmp_path: Path) -> None:
    folder = corpus(tmp_path)
    told(folder, "refresh")
    placed = told(folder, "hold", "too many typos")
    assert {"release": 1, "why": "too many typos", "ended": None}.items() <= placed.items()
    (folder / "notes" / "n0.md").write_text("# Note 0\n\nAnother text about the moon.\n")
    held = tidemark(folder, "refresh", "--json")
    assert (held.exit_code, json.loads(held.stdout)["outcome"]) == (3, "held")
    assert told(folder, "plan")["outcome"] == "held"
    assert [row["outcome"] for row in told(folder, "runs")] == ["held", "published"]
    (release,) = told(folder, "releases")
    assert [each["why"] for each in release["holds"]] == ["too many typos"]
    for command in ("releases", "plan"):
        assert "too many typos" in tidemark(folder, command).stdout
    assert "held" in tidemark(folder, "hold", "once more").stdout
    assert len(told(folder, "unhold")["lifted"]) == 2
    assert tidemark(folder, "unhold").exit_code == 0
    assert tidemark(folder, "hold", "  ").exit_code == 2
    assert "held since" not in tidemark(folder, "releases").stdout
    assert told(folder, "refresh")["outcome"] == "published"
    assert [len(row["holds"]) for row in told(folder, "releases")] == [0, 2]
