"""A command that is told to end does so in order, whatever it was doing; who loses a race has not failed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import corpus
from corpus import configure, prose, save
from markdown_it import MarkdownIt

from flows.config.schema import Config
from flows.exits import exit_code
from flows.refresh import refresh
from flows.report.markdown import write_learning
from flows.rollback import rollback
from storage.errors import ReleaseMoved
from storage.tables.lease import holder
from storage.tables.releases import Releases
from storage.tables.runs import Runs
from storage.tables.store import Store

SOURCE = """
import time
import polars as pl
from storage.sources.base import LISTING

class Slow:
    def __init__(self, config, base):
        self.name = config.name
    def list(self):
        open("listing", "w").close()
        try:
            time.sleep(60)
        except KeyboardInterrupt as stop:  # as some libraries do
            raise RuntimeError("KeyboardInterrupt") if self.name == "wraps" else stop
        yield pl.DataFrame(schema=LISTING)
    def read(self, ids):
        yield from ()
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("name", ["wraps", "plain"])
def test_a_signal_interrupts_a_run_in_order(tmp_path: Path, name: str, number: int, code: int) -> None:
    (tmp_path / "slow.py").write_text(SOURCE)
    (tmp_path / "tidemark.toml").write_text(
        f'[encoder]\nname = "stub"\n[[sources]]\nname = "{name}"\nkind = "slow:Slow"\n'
    )
    command = [sys.executable, "-m", "flows.cli.app", "refresh"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        while not (tmp_path / "listing").exists():
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(number)
        _, told = process.communicate(timeout=120)
    assert (process.returncode, "interrupted: what readers see is unchanged" in told) == (code, True)
    [row] = Runs(Store(tmp_path / "store")).all()
    assert (row["outcome"], holder(Store(tmp_path / "store"))) == ("interrupted", None)
    assert row["message"].startswith("stopped from outside")


STOPPED_AT_PUBLISH = """
import os, signal, sys
from flows.cli import app
from storage.tables.store import Store
from lance.dataset import MergeInsertBuilder

execute = MergeInsertBuilder.execute

def stopped(self, *rest):
    {before}
    done = execute(self, *rest)
    {after}
    return done

insert_new = Store.insert_new

def inserting(self, table, *rest):
    if table == "releases":
        MergeInsertBuilder.execute = stopped
    try:
        return insert_new(self, table, *rest)
    finally:
        MergeInsertBuilder.execute = execute

Store.insert_new = inserting
sys.argv = ["tidemark", {command}]
app.main()
"""


@pytest.mark.parametrize(
    ("command", "name", "when", "code"),
    [
        ("refresh", "SIGINT", "before", 130),
        ("refresh", "SIGTERM", "after", 143),
        ("rollback", "SIGTERM", "before", 143),
        ("rollback", "SIGINT", "after", 130),
    ],
)
def test_what_a_signal_could_not_stop_is_told(tmp_path: Path, command: str, name: str, when: str, code: int) -> None:
    config = Config.load(corpus(tmp_path) / "tidemark.toml")
    refresh(config)
    save(tmp_path / "notes", {"b.md": prose("b")})
    refresh(config)
    save(tmp_path / "notes", {"c.md": prose("c")})
    kill = {"before": "pass", "after": "pass", when: f"os.kill(os.getpid(), signal.{name})"}
    program = STOPPED_AT_PUBLISH.format(command=repr(command), **kill)
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )
    assert ended.returncode == code, ended.stderr
    assert "interrupted, but by then it had published: release 3 is published" in ended.stderr
    store = Store(config.store.uri)
    newest = Releases(store).get()
    [row] = Runs(store).all(1)
    assert (newest.seq, newest.run, row["release"], row["outcome"]) == (3, row["run"], 3, "interrupted")
    assert row["message"].startswith("release 3 is published; after that: stopped from outside")
    assert holder(store) is None
    assert refresh(config).outcome == ("unchanged" if command == "refresh" else "published")


STOPPED_IN_AUDIT = """
import os, signal, sys
from flows.cli import app
from tasks.release import audit

def examined(*_):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        signal.sigtimedwait([], 5)
    except KeyboardInterrupt as stop:
        raise OSError(f"External error: {type(stop).__name__}:") from None  # as Lance does

audit._examined = examined
sys.argv = ["tidemark", "refresh"]
app.main()
"""


def test_a_signal_that_comes_out_of_a_library_as_its_error_is_no_damage(tmp_path: Path) -> None:
    config = Config.load(corpus(tmp_path) / "tidemark.toml")
    ended = subprocess.run(
        [sys.executable, "-c", STOPPED_IN_AUDIT], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )
    assert (ended.returncode, "interrupted: what readers see is unchanged" in ended.stderr) == (143, True), ended.stderr
    [row] = Runs(Store(config.store.uri)).all()
    assert (row["outcome"], holder(Store(config.store.uri))) == ("interrupted", None)
    assert refresh(config).outcome == "published"


def test_a_rollback_that_was_killed_as_it_published_is_told_by_the_next_night(tmp_path: Path) -> None:
    config = Config.load(corpus(tmp_path) / "tidemark.toml")
    refresh(config)
    save(tmp_path / "notes", {"b.md": prose("b")})
    refresh(config)
    program = STOPPED_AT_PUBLISH.format(
        command=repr("rollback"), before="pass", after="os.kill(os.getpid(), signal.SIGKILL)"
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, check=False, timeout=120)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    store = Store(config.store.uri)
    killed = Releases(store).get()
    assert (killed.seq, killed.restored) == (3, 1)
    refresh(config)
    row = Runs(store).get(killed.run)
    assert (row["kind"], row["outcome"], row["release"]) == ("rollback", "interrupted", 3)
    assert row["message"].startswith("release 3 is published; after that the process ended without a word")


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (
            "OSError(28, 'No space left on device')",
            "the disk is full: free some space and run the command again; by then",
        ),
        ("ValueError('odd')", "ValueError: odd; by then"),
    ],
)
def test_a_failure_after_a_release_says_that_it_is_published(tmp_path: Path, fault: str, told: str) -> None:
    config = Config.load(corpus(tmp_path) / "tidemark.toml")
    program = STOPPED_AT_PUBLISH.format(command=repr("refresh"), before="pass", after=f"raise {fault}")
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )
    assert (ended.returncode, told in ended.stderr) == (1, True), ended.stderr
    assert f"{told} it had published: release 1 is published" in ended.stderr
    assert Releases(Store(config.store.uri)).get().seq == 1


def test_a_rollback_that_loses_against_another_run_ends_as_one_that_found_it_at_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configure(tmp_path, {"a.md": prose("a")})
    refresh(config)
    (tmp_path / "notes" / "b.md").write_text(prose("b"))
    refresh(config)
    publish = Releases.publish

    def late(self: Releases, base: int, *rest: object) -> object:
        monkeypatch.setattr(Releases, "publish", publish)
        rollback(config, 1)  # another one, in between
        return publish(self, base, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Releases, "publish", late)
    with pytest.raises(ReleaseMoved) as lost:
        rollback(config, 1)
    assert exit_code(lost.value) == 4
    outcomes = [row["outcome"] for row in Runs(Store(config.store.uri)).all(2)]
    assert sorted(outcomes) == ["lease-held", "published"]


def test_the_message_of_a_retraining_is_text_in_its_report() -> None:
    message = "'<img src=x onerror=alert(1)>' ![p](http://evil/x.png)"
    told = write_learning({"message": message, "challengers": [], "rerankers": []})
    kinds = {part.type for line in MarkdownIt("commonmark").parse(told) for part in (line, *(line.children or ()))}
    assert not kinds & {"html_inline", "html_block", "image", "link_open"}
