"""Write a small store with the version of the program that is first on the path, and what that version answers.

Usage: PYTHONPATH=CHECKOUT python tests/stores/make.py FOLDER    (CHECKOUT at the commit that README.md names)
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

# Packages of the old version, where they lay then.
import storage.lease
import tasks.embed
from flows.diff import diff
from flows.search import Search
from storage.quarantine import Quarantine
from storage.releases import Releases
from storage.store import Store

from flows.config import Config
from flows.refresh import refresh
from flows.rollback import rollback
from storage.reader import Reader

QUERIES = ("harbour pilot chart", "the ebb at the pier", "a moon over the reef")
TOML = """\
[store]
uri = "store"

[encoder]
name = "stub"

[chunker]
min_tokens = 8
max_tokens = 24

[[sources]]
name = "notes"
kind = "folder"
path = "notes"

[[sources]]
name = "log"
kind = "jsonl"
path = "log.jsonl"
"""
SUBJECTS = ("harbour", "pilot", "chart", "ebb", "reef", "moon")
KILLED = "killed"


def prose(subject: str, lines: int) -> str:
    """A text in which no sentence is like another."""
    told = (
        f"The {subject} of day {day} lay {day + 3} fathoms from the pier and {2 * day} from the wreck."
        for day in range(lines)
    )
    return f"# {subject.title()}\n\n" + "\n\n".join(told) + "\n"


def first(folder: Path) -> None:
    """Write the documents of release 1, to which release 3 returns."""
    notes = folder / "notes"
    shutil.rmtree(notes, ignore_errors=True)
    notes.mkdir(parents=True)
    for number, subject in enumerate(SUBJECTS):
        (notes / f"{subject}.md").write_text(prose(subject, 3 + number))
    (notes / "empty.md").write_text("")
    records = [
        {"id": f"entry-{n}", "text": f"Watch {n}: the tide turned at {n} o'clock.", "title": n} for n in range(4)
    ]
    (folder / "log.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


def later(folder: Path) -> None:
    """Change them to what release 2 holds: one edited, one new, one gone."""
    notes = folder / "notes"
    (notes / "pilot.md").write_text(prose("pilot", 4).replace("wreck", "lighthouse"))
    (notes / "gale.md").write_text(prose("gale", 5))
    (notes / "chart.md").unlink()


def killed(config: Config) -> None:
    """Run a refresh that is killed as soon as some vectors are staged."""
    stage = tasks.embed.staged

    def once(*arguments: Any) -> None:
        stage(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)

    tasks.embed.staged, tasks.embed.SMALLEST = once, 4
    refresh(config)


def recorded(config: Config) -> dict[str, Any]:
    """What the store answers."""
    store = Store(config.store.uri)
    releases = Releases(store).all()
    hits = {
        str(release.seq): {
            query: [hit.to_dict() for hit in found] for query, found in Search(config, release.seq).find(QUERIES, 5)
        }
        for release in releases
    }
    chunk = hits["3"][QUERIES[0]][0]["chunk"]
    return {
        "releases": [[one.seq, one.outcome, one.restored, one.space, one.facts["counts"]] for one in releases],
        "hits": hits,
        "explained": {chunk: Reader.open(config.store.uri).explain(chunk)},
        "difference": diff(config.store.uri, 1, 2).to_dict(),
        "quarantine": [(row["document"], row["rule"], row["attempts"]) for row in Quarantine(store).all()],
    }


def main(folder: Path, step: str = "") -> None:
    """Make the store; `step` is for the process that is killed."""
    socket.gethostname = lambda: "old"  # a store names the machines that wrote it
    storage.lease._machine = lambda: "old"
    file = folder / "tidemark.toml"
    if step == KILLED:
        killed(Config.load(file))
    first(folder)
    file.write_text(TOML)
    config = Config.load(file)
    refresh(config)
    later(folder)
    refresh(config)
    rollback(config, 1)
    answers = recorded(config)
    (folder / "notes" / "storm.md").write_text(prose("storm", 12))
    subprocess.run([sys.executable, __file__, str(folder), KILLED], check=False)
    first(folder)
    for table in ("runs", "leases", "releases", "quarantine"):  # as a night of the next day would: they are large
        Store(config.store.uri).trim(table, timedelta(0))
    for leftover in ("data_docs", ".work"):
        shutil.rmtree(folder / "store" / leftover, ignore_errors=True)
    (folder / "answers.json").write_text(json.dumps(answers, indent=1, sort_keys=True, default=str) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), *sys.argv[2:])
