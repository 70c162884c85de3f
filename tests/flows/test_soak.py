"""Writers, rollbacks, signals and readers at one store for minutes: no mixture, no error, and every outcome is true."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from corpus import prose, save
from nights import Answer, answer

from flows.audit import audit
from flows.config.schema import Config
from flows.refresh import refresh
from storage.errors import failures
from storage.reader import Reader
from storage.tables.releases import Releases
from storage.tables.runs import Runs
from storage.tables.store import Store

SECONDS = float(os.environ.get("TIDEMARK_SOAK", "600"))
SEED = int(os.environ.get("TIDEMARK_SEED", random.SystemRandom().randrange(10**6)))
REFRESHES, ROLLBACKS, READERS = 3, 2, 3
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGTERM, signal.SIGINT)
NOTHING_BEFORE = "roll back|no release before"
TOML = """
[store]
uri = "store"
[encoder]
name = "stub"
[chunker]
min_tokens = 8
max_tokens = 24
[limits]
max_lost_share = 1.0
max_refused_share = 1.0
[releases]
keep = 50
[[sources]]
name = "notes"
kind = "folder"
path = "notes"
"""


@dataclass
class Soak:
    """What happened so far."""

    base: Path
    until: float
    random_: random.Random = field(default_factory=lambda: random.Random(SEED))
    living: dict[int, subprocess.Popen[str]] = field(default_factory=dict)
    signalled: dict[int, int] = field(default_factory=dict)
    ends: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    answers: dict[int, Answer] = field(default_factory=dict)
    reads: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def going(self) -> bool:
        return time.monotonic() < self.until


def run(soak: Soak, *arguments: str) -> None:
    """Run a command, which may be signalled, and hold its exit code against the table of the README."""
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.cli.app", "-c", str(soak.base / "tidemark.toml"), *arguments, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    with soak.lock:
        soak.living[process.pid] = process
    out, err = process.communicate()
    with soak.lock:
        del soak.living[process.pid]
        sent = soak.signalled.get(process.pid)
    code = process.returncode if process.returncode >= 0 else 128 - process.returncode
    soak.ends[f"{arguments[0]} {code}"] += 1
    allowed = {0, 4} | ({128 + sent} if sent is not None else set())
    nothing_before = code == 2 and any(mark in err for mark in NOTHING_BEFORE.split("|"))
    # Ctrl-C before the first line of ours: Python leaves with 1 where it still imports what its environment asks for.
    early = code == 1 and sent == signal.SIGINT and err.rstrip().endswith("KeyboardInterrupt") and "flows" not in err
    if code not in allowed and not nothing_before and not early:
        soak.wrong.append(f"{arguments} after signal {sent}: exit {code}: {err[-600:]}")
    elif code == 0 and json.loads(out).get("outcome", "published") not in ("published", "unchanged"):
        soak.wrong.append(f"{arguments}: exit 0 and {out[:300]}")


def refreshing(soak: Soak, number: int) -> None:
    night = 0
    while soak.going():
        night += 1
        # Whole files by a rename: a torn one would be a document of its own.
        draft = soak.base / f"{number}.draft"
        draft.write_text(prose(f"night{night} of writer{number}", 3))
        draft.replace(soak.base / "notes" / f"w{number}-{night % 3}.md")
        run(soak, "refresh")
        time.sleep(soak.random_.uniform(0, 2))


def rolling(soak: Soak, _: int) -> None:
    while soak.going():
        run(soak, "rollback")
        time.sleep(soak.random_.uniform(0, 3))


def signalling(soak: Soak, _: int) -> None:
    while soak.going():
        time.sleep(soak.random_.uniform(2, 12))
        with soak.lock:
            if soak.living:
                pid, process = soak.random_.choice(sorted(soak.living.items()))
                if pid not in soak.signalled and process.poll() is None:
                    soak.signalled[pid] = soak.random_.choice(SIGNALS)
                    process.send_signal(soak.signalled[pid])


def reading(soak: Soak, _: int) -> None:
    while soak.going():
        try:
            reader = Reader.open(str(soak.base / "store"))
            found = answer(reader)
        except failures() as error:
            soak.wrong.append(f"a reader: {type(error).__name__}: {error}")
            continue
        with soak.lock:
            soak.reads += 1
            if soak.answers.setdefault(reader.release.seq, found) != found:
                soak.wrong.append(f"release {reader.release.seq} answers otherwise than before")
        time.sleep(0.05)


def together(soak: Soak) -> None:
    work: list[tuple[Callable[[Soak, int], None], int]] = [
        *((refreshing, number) for number in range(REFRESHES)),
        *((rolling, number) for number in range(ROLLBACKS)),
        *((reading, number) for number in range(READERS)),
        (signalling, 0),
    ]

    def watched(each: Callable[[Soak, int], None], number: int) -> None:
        try:
            each(soak, number)
        except failures() as error:
            soak.wrong.append(f"{each.__name__} {number} ended: {type(error).__name__}: {error}")

    threads = [threading.Thread(target=watched, args=one) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def outcomes_are_true(store: Store) -> None:
    """Every release has the run that made it, every run that says so has its release, and no number is missing."""
    releases = {release.seq: release.run for release in Releases(store).all(brief=True)}
    assert sorted(releases) == list(range(1, len(releases) + 1))
    runs: dict[str, dict[str, Any]] = {row["run"]: row for row in Runs(store).all()}
    for seq, name in releases.items():
        row = runs.get(name)
        assert row is not None, f"release {seq} has no run"
        assert row["release"] == seq, row
        assert row["outcome"] == "published" or (
            row["outcome"] == "interrupted" and f"release {seq} is published" in row["message"]
        ), row
    made = set(releases.values())
    told = [row for name, row in runs.items() if row["outcome"] == "published" and name not in made]
    assert told == []


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 600)
def test_writers_rollbacks_signals_and_readers_leave_one_truth(tmp_path: Path) -> None:
    (tmp_path / "tidemark.toml").write_text(TOML)
    save(tmp_path / "notes", {f"{number}.md": prose(f"word{number}", 3) for number in range(12)})
    config = Config.load(tmp_path / "tidemark.toml")
    refresh(config)
    soak = Soak(tmp_path, time.monotonic() + SECONDS)
    together(soak)
    seen = f"{len(soak.signalled)} signals, {soak.reads} reads, {len(soak.answers)} releases"
    print(f"seed {SEED}: {dict(soak.ends)}, {seen}")
    assert not soak.wrong, "\n".join(soak.wrong)
    assert soak.reads > 0
    assert soak.ends["refresh 0"] > 0
    assert refresh(config).outcome in ("published", "unchanged")
    outcomes_are_true(Store(config.store.uri))  # after a night, which records rollbacks that were killed
    assert audit(config, deep=True).failed == []
    for release in Releases(Store(config.store.uri)).retained():
        if release.seq in soak.answers:
            assert answer(Reader.open(config.store.uri, release.seq)) == soak.answers[release.seq]
