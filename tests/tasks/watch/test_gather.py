"""A night takes in what other applications wrote down: once, encoded once, and without the texts where so wanted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from corpus import configure, encoder, prose

from flows.config.schema import Config
from flows.refresh import refresh
from models.encoder import Vectors
from models.text.stub import StubEncoder
from storage.tables.queries import Queries, QueryFiles
from storage.tables.releases import Release, Releases
from storage.tables.runs import Runs
from storage.tables.store import Store
from tasks.search.log import QueriesConfig
from tasks.watch.gather import QueriesResult, watch_queries

SECRET = "what does the anchor weigh in secret"
NOW = datetime(2026, 1, 31, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    made = configure(tmp_path_factory.mktemp("gathered"), {f"{name}.md": prose(name) for name in ("anchor", "buoy")})
    refresh(made)
    return made


def copied(config: Config, folder: Path) -> tuple[Store, Release]:
    shutil.copytree(config.store.uri, folder / "store")
    store = Store(folder / "store")
    return store, Releases(store).get()


def write(folder: Path, *texts: str) -> None:
    with (folder / "asked.jsonl").open("a") as stream:
        stream.writelines(json.dumps({"query": text}) + "\n" for text in texts)


def gathered(store: Store, release: Release, config: Config, folder: Path, now: datetime = NOW) -> QueriesResult:
    wanted = QueriesConfig(log="hash", path="*.jsonl")
    return watch_queries(store, release, encoder(config), wanted, folder, now)


def test_files_are_answered_once_and_their_texts_stay_outside(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[str] = []
    encode = StubEncoder.encode_queries

    def counting(self: StubEncoder, texts: Sequence[str]) -> Vectors:
        encoded.extend(texts)
        return encode(self, texts)

    monkeypatch.setattr(StubEncoder, "encode_queries", counting)
    store, release = copied(config, tmp_path)
    write(tmp_path, SECRET, SECRET, "buoy")
    found = gathered(store, release, config, tmp_path)
    assert found.counts == {"read": 3, "taken": 3, "broken": 0, "written": 3, "forgotten": 0}
    assert sorted(encoded) == sorted([SECRET, "buoy"])
    logged = Queries(store, release.space).read()
    assert logged.frame["encoded"].all()
    assert logged.frame["best"].is_between(-1, 1).all()
    assert logged.frame["hash"].n_unique() == 2
    for file in (tmp_path / "store").rglob("*"):
        assert not file.is_file() or SECRET.encode() not in file.read_bytes()

    assert gathered(store, release, config, tmp_path).written == 0
    assert len(encoded) == 2
    # A run that was killed before it noted how far it had read: it reads the lines again, and writes none.
    store.drop("query_files")
    assert QueryFiles(store).all() == {}
    again = gathered(store, release, config, tmp_path)
    assert (again.counts["read"], again.written, len(encoded)) == (3, 0, 2)
    assert gathered(store, release, config, tmp_path, NOW + timedelta(days=31)).forgotten == 3


def test_a_night_reads_the_files_and_says_what_it_could_not_watch(config: Config, tmp_path: Path) -> None:
    copied(config, tmp_path)
    write(tmp_path, "anchor")
    (tmp_path / "asked.jsonl").open("a").write("broken\n")
    notes = {f"{name}.md": prose(name) for name in ("anchor", "buoy", "chart")}
    night = configure(tmp_path, notes, queries={"log": "text", "path": "*.jsonl"})
    assert refresh(night).outcome == "published"
    store = Store(night.store.uri)
    told = Runs(store).all(1)[0]["data"]["drift"]["notes"]
    assert any("not valid JSON" in note for note in told)
    assert any("1 queries in 24 hours and 0 in the 20 days before are too few" in note for note in told)
    assert [note for note in told if note.startswith("there are no golden questions")]
    assert Queries(store, Releases(store).get().space).read().frame["text"].to_list() == ["anchor"]
