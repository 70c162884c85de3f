"""Notices: what ends is told once, whoever fails meanwhile, and no secret is told to anybody."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest
from corpus import configure, prose, save
from inbox import Inbox, webhook
from killing import Child, Orders, refreshed
from nights import VALUES, mapping

from flows.config.schema import Config
from flows.hold import hold
from flows.refresh import refresh
from flows.tell import tell
from storage.errors import InputError, SourceFailed
from storage.tables.drift import Drift
from storage.tables.notices import Notices
from storage.tables.runs import Runs
from storage.tables.store import Store

ALL = ["failed", "died", "stale", "drift", "refused", "approval", "storage", "held"]
HOOK = {"kind": "webhook", "on": ALL, "url_env": "TIDEMARK_TEST_HOOK"}


@pytest.fixture
def inbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Inbox]:
    with webhook() as opened:
        monkeypatch.setenv("TIDEMARK_TEST_HOOK", opened.url)
        yield opened


def watched(base: Path, *names: str, **sections: Any) -> Config:
    return configure(base, {f"{name}.md": prose(name) for name in names}, notify=[HOOK], **sections)


def broken(base: Path, events: Sequence[str] = ALL) -> Config:
    """A configuration whose runs fail in the middle: its source does not know how to read."""
    (base / "script.json").write_text('{"list": [{"id": "a"}]}')
    source = {"name": "script", "kind": "corpus:Scripted", "path": "script.json"}
    return configure(base, notify=[HOOK | {"on": list(events)}], sources=[source])


def test_a_run_that_ends_well_is_no_news(tmp_path: Path, inbox: Inbox) -> None:
    config = watched(tmp_path, "anchor")
    refresh(config)
    refresh(config)
    assert inbox.messages == []
    assert Store(config.store.uri).find("notices") is None


def test_a_failed_run_is_told_once_with_run_release_and_reason(tmp_path: Path, inbox: Inbox) -> None:
    config = broken(tmp_path)
    with pytest.raises(SourceFailed):
        refresh(config)
    (row,) = Runs(Store(config.store.uri)).all()
    (message,) = inbox.messages
    assert message == {
        "event": "failed",
        "run": row["run"],
        "release": None,
        "message": f"refresh: {row['message']}",
        "url": "",
    }
    assert tell(Store(config.store.uri), config) == 0  # as a run after it would, and does not
    (told,) = Notices(Store(config.store.uri)).all()
    assert (told["target"], told["attempts"]) == ("webhook:TIDEMARK_TEST_HOOK", 1)
    assert told["sent"] is not None


def test_who_waits_for_a_person_or_is_held_or_refused_is_told(tmp_path: Path, inbox: Inbox) -> None:
    strict = {"limits": {"max_lost_share": 0.1, "max_refused_share": 0.1, "refused_floor": 0}}
    config = watched(tmp_path, "anchor", "buoy", **strict)
    refresh(config)
    save(tmp_path / "notes", {"buoy.md": None})
    refresh(config)
    save(tmp_path / "notes", {"buoy.md": prose("buoy"), "a.md": "", "b.md": ""})
    refresh(config)
    save(tmp_path / "notes", {"a.md": None, "b.md": None, "chart.md": prose("chart")})
    hold(Store(config.store.uri), "wait")
    refresh(config)
    assert inbox.events == ["approval", "refused", "held"]
    assert [each["release"] for each in inbox.messages] == [1, 1, 1]
    assert "is held since" in inbox.messages[2]["message"]


def test_a_run_that_was_killed_is_told_by_the_next(tmp_path: Path, inbox: Inbox) -> None:
    save(tmp_path / "notes", {"a.md": prose("anchor")})
    settings = mapping(tmp_path / "store", tmp_path / "notes", notify=[HOOK])
    with Child(refreshed, settings, tmp_path, orders=Orders("before stage embed 1", SIGKILL, VALUES)) as child:
        assert child.end().killed
    config = Config.from_mapping(settings, tmp_path)
    for _ in range(2):
        refresh(config)
    (message,) = inbox.messages
    dead = Runs(Store(config.store.uri)).all()[-1]
    assert (message["event"], message["run"]) == ("died", dead["run"])
    assert "the process ended without a word" in message["message"]


@pytest.mark.parametrize("status", [500, None])
def test_a_message_that_nobody_takes_costs_a_warning_and_is_sent_by_the_next_run(
    tmp_path: Path, inbox: Inbox, status: int | None, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = broken(tmp_path)
    if status is None:
        monkeypatch.delenv("TIDEMARK_TEST_HOOK")
    else:
        inbox.status = status
    with caplog.at_level(logging.WARNING), pytest.raises(SourceFailed):
        refresh(config)
    assert "nobody was told by webhook ($TIDEMARK_TEST_HOOK) of 'failed'" in caplog.text
    assert "s3cret" not in caplog.text
    store, later = Store(config.store.uri), datetime.now(UTC) + timedelta(minutes=2)
    inbox.status, before = 200, len(inbox.messages)
    environ = {"TIDEMARK_TEST_HOOK": inbox.url}
    assert [tell(store, config, environ, later) for _ in range(2)] == [1, 0]
    assert len(inbox.messages) == before + 1


@pytest.mark.parametrize("moment", ["noted", "sent"])
def test_a_kill_between_note_and_mark_sends_twice_at_most_and_loses_nothing(
    tmp_path: Path, inbox: Inbox, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill at a moment leaves what an exception that nothing catches leaves: no mark."""
    import storage.post as module

    config = broken(tmp_path)
    store, post = Store(config.store.uri), module.post

    def killed(*arguments: Any) -> None:
        if moment == "sent":
            post(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module, "post", killed)
        refresh(config)
    later = datetime.now(UTC) + timedelta(minutes=2)
    assert [tell(store, config, now=later) for _ in range(2)] == [1, 0]
    assert inbox.events == (2 if moment == "sent" else 1) * ["failed"]


def test_alarms_of_a_night_are_one_message(tmp_path: Path, inbox: Inbox) -> None:
    config = watched(tmp_path, "anchor")
    run = refresh(config).run
    figure = {"run": run, "maker": run, "family": "data", "value": 12.0, "limit": 4.0, "created": datetime.now(UTC)}
    store = Store(config.store.uri)
    Drift(store).add([figure | {"name": name, "source": "notes", "alarm": name != "c"} for name in "abc"])
    assert [tell(store, config) for _ in range(2)] == [1, 0]
    (message,) = inbox.messages
    assert (message["event"], message["run"], message["release"]) == ("drift", run, 1)
    assert message["message"].startswith("drift: a of notes is 12 (limit 4); drift: b of notes is 12 (limit 4)")


def test_an_index_that_nobody_renews_is_told_once(tmp_path: Path, inbox: Inbox) -> None:
    config = watched(tmp_path, "anchor")
    refresh(config)
    store, now = Store(config.store.uri), datetime.now(UTC)
    times = [now + timedelta(hours=hours) for hours in (25, 27, 50)]
    assert [tell(store, config, now=time) for time in times] == [0, 1, 0]
    assert inbox.events == ["stale"]
    assert "no refresh has ended well for 27 hours" in inbox.messages[0]["message"]


def test_a_store_over_its_bound_is_told_once_a_week(tmp_path: Path, inbox: Inbox) -> None:
    config = watched(tmp_path, "anchor", limits={"max_store_gb": 1e-6, "stale_hours": 1_000})
    refresh(config)
    store, now = Store(config.store.uri), datetime.now(UTC)
    assert [tell(store, config, now=now + timedelta(days=days)) for days in (0, 7)] == [0, 1]
    assert inbox.events == ["storage", "storage"]
    assert "limits.max_store_gb = 1e-06" in inbox.messages[0]["message"]


def test_who_asks_for_less_is_told_less_and_who_was_named_later_not_of_what_was_before(
    tmp_path: Path, inbox: Inbox
) -> None:
    with pytest.raises(SourceFailed):
        refresh(broken(tmp_path).model_copy(update={"notify": ()}))
    with pytest.raises(SourceFailed):
        refresh(broken(tmp_path, ["drift"]))
    assert inbox.messages == []
    with pytest.raises(SourceFailed):
        refresh(broken(tmp_path))
    assert inbox.events == ["failed"]


def test_what_is_told_and_what_is_kept_holds_no_secret(
    tmp_path: Path, inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    config = watched(tmp_path, "anchor")
    refresh(config)
    hold(Store(config.store.uri), "see https://ann:pa55@wiki.example.org/?token=pa55")
    save(tmp_path / "notes", {"buoy.md": prose("buoy")})
    with caplog.at_level(logging.DEBUG):
        refresh(config)
    assert inbox.events == ["held"]
    store = Store(config.store.uri)
    kept = [row for name in store.tables() for row in store.open(name).to_table().to_pylist()]
    for place in (str(kept), caplog.text, json.dumps(inbox.messages)):
        assert "s3cret" not in place
        assert "pa55" not in place


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ({"kind": "pager", "url_env": "X"}, "kind"),
        ({"kind": "webhook", "url_env": "https://hooks.example.org/s3cret"}, "url_env"),
        ({"kind": "webhook", "url_env": "X", "on": ["everything"]}, "on"),
        ({"kind": "webhook", "url_env": "X", "url": "https://x"}, "url"),
    ],
)
def test_a_table_that_says_something_else_is_wrong_input(tmp_path: Path, table: dict[str, Any], why: str) -> None:
    with pytest.raises(InputError, match=why):
        Config.from_mapping({"notify": [table]}, tmp_path)
