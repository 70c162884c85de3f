"""The log of a reader: what it keeps and leaves out, many at once, and that no search ever fails for it."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from corpus import configure, prose, save

from flows.config.schema import Config
from flows.refresh import refresh
from storage.hashing import document_key
from storage.tables.queries import Queries
from storage.tables.releases import Releases
from storage.tables.store import Store
from tasks.search.log import Kept, QueryLog
from tasks.search.search import Search

SECRET = "the anchor that nobody may know of"
# What each of many readers does: it asks, and says what it logged; one that is told to stay is killed in the end.
READER = """
import sys, time
from tasks.search.log import QueryLog
from tasks.search.search import Search
uri, name, count, stays = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] == "stay"
log = QueryLog(uri, batch=7, every=0.2)
search = Search(uri, log=log)
for number in range(count):
    [(_, hits)] = search.find([f"{name} {number}"], 2)
    assert hits
if stays:
    print("asked", flush=True)
    time.sleep(600)
log.close(60)
assert log.lost == 0
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    made = configure(tmp_path_factory.mktemp("logged"), {f"{name}.md": prose(name) for name in ("anchor", "buoy")})
    refresh(made)
    return made


def copied(config: Config, folder: Path) -> Store:
    import shutil

    shutil.copytree(config.store.uri, folder / "store")
    return Store(folder / "store")


def logged(store: Store) -> Queries:
    return Queries(store, Releases(store).get().space)


def reader(store: Store, name: str, count: int, stays: str = "") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", READER, store.uri, name, str(count), stays]
    root = str(Path(__file__).parents[3])
    return subprocess.Popen(
        command, env=os.environ | {"PYTHONPATH": root}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_a_search_is_noted_with_what_it_found(config: Config, tmp_path: Path) -> None:
    store = copied(config, tmp_path)
    with QueryLog(store) as log:
        search = Search(store.uri, log=log)
        found = list(search.find(["the anchor of row 0", " ", "buoy"], 3))
        list(search.find(["the anchor"], 3, mode="text"))
    table = store.open(logged(store).name)
    rows = table.to_table().to_pylist()
    assert [row["text"] for row in rows] == ["the anchor of row 0", "buoy", "the anchor"]
    assert [row["mode"] for row in rows] == ["dense", "dense", "text"]
    assert rows[0]["best"] == pytest.approx(found[0][1][0].score, abs=1e-5)
    assert rows[0]["documents"][0] == document_key("notes", "anchor.md")
    assert (rows[2]["vector"], rows[2]["best"], len(rows[0]["vector"])) == (None, None, search.encoder.space.dimension)
    assert {row["release"] for row in rows} == {1}


@pytest.mark.parametrize("keep", ["hash", "vectors", "off"])
def test_a_text_that_is_not_to_be_kept_is_nowhere_in_the_store(config: Config, tmp_path: Path, keep: Kept) -> None:
    store = copied(config, tmp_path)
    with QueryLog(store, keep) as log:
        list(Search(store.uri, log=log).find([SECRET, SECRET.upper()], 3))
    frame = logged(store).read().frame
    assert frame.height == (0 if keep == "off" else 2)
    assert frame["hash"].n_unique() == (1 if frame.height else 0)
    for file in (tmp_path / "store").rglob("*"):
        if file.is_file():
            content = file.read_bytes().lower()
            assert SECRET.encode() not in content, file
            assert b"nobody may know" not in content, file


def test_a_share_of_the_queries_is_noted(config: Config, tmp_path: Path) -> None:
    store = copied(config, tmp_path)
    with QueryLog(store, share=0.3) as log:
        list(Search(store.uri, log=log).find(["tide"] * 200, 1))
    assert 30 < logged(store).read().frame.height < 90


def test_a_store_that_takes_no_query_costs_a_warning_and_no_search(
    config: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = copied(config, tmp_path)
    name = logged(store).name
    (tmp_path / "store" / f"{name}.lance").write_text("no table")
    monkeypatch.setattr("tasks.search.log.BACKLOG", 30)
    log = QueryLog(store, every=0.01)
    search = Search(store.uri, log=log)
    with caplog.at_level(logging.WARNING, "tasks.search.log"):
        for _ in range(4):
            assert all(hits for _, hits in search.find(["tide"] * 20, 1))
        log.close()
    assert [record.message[:40] for record in caplog.records] == [f"queries are not logged in {store.uri}"[:40]]
    assert log.lost == 80


def test_a_slow_store_makes_no_search_wait(config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = copied(config, tmp_path)
    go, add = threading.Event(), Queries.add

    def waits(self: Queries, *arguments: object) -> None:
        assert go.wait(60)
        add(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Queries, "add", waits)
    log = QueryLog(store, batch=1)
    search = Search(store.uri, log=log)
    assert len([hits for _, hits in search.find(["tide"] * 10, 1)]) == 10
    assert len([hits for _, hits in search.find(["tide"] * 10, 1)]) == 10
    began = time.monotonic()
    log.close(0.1)
    assert time.monotonic() - began < 5
    go.set()
    log.close(60)
    assert logged(store).read().frame.height == 20


def test_many_readers_log_at_once_while_a_night_publishes_and_a_killed_one_loses_its_buffer_alone(
    config: Config, tmp_path: Path
) -> None:
    store = copied(config, tmp_path)
    mine = configure(tmp_path, {f"{name}.md": prose(name) for name in ("anchor", "buoy", "chart")})
    readers = [reader(store, f"reader{number}", 40) for number in range(3)]
    doomed = reader(store, "doomed", 30, "stay")
    try:
        assert doomed.stdout is not None
        assert doomed.stdout.readline() == "asked\n"
        doomed.send_signal(signal.SIGKILL)
        assert refresh(mine).outcome == "published"
        for each in readers:
            _, told = each.communicate(timeout=300)
            assert each.returncode == 0, told
    finally:
        for each in (*readers, doomed):
            each.kill()
            each.wait()
    frame = logged(store).read().frame
    texts = set(frame["text"])
    assert {f"reader{number} {at}" for number in range(3) for at in range(40)} <= texts
    assert {text for text in texts if text.startswith("doomed")} <= {f"doomed {at}" for at in range(30)}
    assert frame.height == len(texts)
    save(tmp_path / "notes", {"dock.md": prose("dock")})
    assert refresh(mine).outcome == "published"
