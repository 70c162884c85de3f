"""A history of random changes ends in the tables of a rebuild, in which the last good version stands for what broke."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from flows.audit import audit
from flows.config.schema import Config
from flows.refresh import RunResult, refresh
from flows.rollback import RollbackResult, rollback
from storage.errors import InputError
from storage.tables.releases import Releases
from storage.tables.store import Store
from storage.tables.vectors import as_vectors

WORDS = [
    *("tide", "moon", "sea", "harbour", "current", "wave", "shore", "gauge"),
    *("chart", "pilot", "buoy", "wind", "swell", "reef", "ebb", "flood"),
]
STEPS = 50


def sentence(random: Random) -> str:
    return " ".join(random.choices(WORDS, k=random.randint(5, 12))).capitalize() + "."


def body(random: Random) -> str:
    return f"# {sentence(random)}\n\n" + "\n\n".join(
        " ".join(sentence(random) for _ in range(4)) for _ in range(random.randint(1, 6))
    )


class Folder:
    """A folder of documents and the random changes that people make to one."""

    def __init__(self, path: Path, random: Random) -> None:
        self.path = path
        self.random = random
        path.mkdir()
        for _ in range(12):
            self.insert()

    def names(self) -> list[Path]:
        return sorted(self.path.rglob("*.md"))

    def fresh(self) -> Path:
        folder = self.path / self.random.choice(["", "deep", "other"])
        folder.mkdir(exist_ok=True)
        return folder / f"{self.random.choice('abcxyz')}{self.random.randrange(10**6)}.md"

    def one(self) -> Path:
        return self.random.choice(self.names())

    def insert(self) -> None:
        self.fresh().write_text(body(self.random))

    def edit(self) -> None:
        file = self.one()
        parts = file.read_text(errors="ignore").split("\n\n")
        parts.insert(self.random.randrange(1, len(parts) + 1), sentence(self.random))
        file.write_text("\n\n".join(parts))

    def cut(self) -> None:
        file = self.one()
        parts = file.read_text(errors="ignore").split("\n\n")
        file.write_text("\n\n".join(parts[: max(1, len(parts) - 1)]))

    def delete(self) -> None:
        self.one().unlink()

    def move(self) -> None:
        self.one().rename(self.fresh())

    def duplicate(self) -> None:
        shutil.copy(self.one(), self.fresh())

    def swap(self) -> None:
        """Two documents exchange their names: both ids stay, both contents move."""
        first, second = self.one(), self.one()
        a, b = first.read_bytes(), second.read_bytes()
        first.write_bytes(b)
        second.write_bytes(a)

    def spoil(self) -> None:
        self.one().write_bytes(b"broken \xff\xfe bytes")

    def empty(self) -> None:
        self.fresh().write_text("")

    def touch(self) -> None:
        self.one().touch()

    def changes(self) -> list[Callable[[], None]]:
        names = [
            *("insert", "insert", "edit", "edit", "cut", "delete", "move", "duplicate", "duplicate"),
            *("swap", "spoil", "empty", "touch"),
        ]
        return [getattr(self, name) for name in names]


class Versions:
    """What each release holds of each file: the file, or where it is broken the version of the release before."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.releases: dict[int, dict[str, bytes]] = {}
        self.now: dict[str, bytes] = {}

    def refreshed(self, result: RunResult) -> None:
        """Take in what a refresh found."""
        raw = {file.relative_to(self.folder.path).as_posix(): file.read_bytes() for file in self.folder.names()}
        held = {name: content if sound(content) else self.now.get(name) for name, content in raw.items()}
        self.now = {name: content for name, content in held.items() if content is not None}
        broken = [name for name, content in raw.items() if not sound(content) and name in self.now]
        assert result.counts["stale"] == len(broken)
        self.releases[result.release or 0] = self.now

    def rolled_back(self, result: RollbackResult) -> None:
        """Take a rollback in."""
        self.now = self.releases[result.release] = self.releases[result.restored]

    def write(self, path: Path) -> None:
        """Write what the index holds as files."""
        for name, content in self.now.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(content)


def sound(content: bytes) -> bool:
    """Whether the default rules accept a file."""
    return bool(content.strip()) and b"\xff" not in content


def configuration(base: Path, store: str, **sections: Any) -> Config:
    source = {"name": "notes", "kind": "folder", "path": "notes"}
    given = {
        "store": {"uri": store},
        "encoder": {"name": "stub"},
        "chunker": {"min_tokens": 8, "max_tokens": 24},
        "limits": {"max_lost_share": 1.0, "max_refused_share": 1.0, "max_stale_share": 1.0},
        "releases": {"keep": 4},
        "sources": [source],
    }
    return Config.from_mapping(given | sections, base)


def table(config: Config) -> tuple[list[dict[str, Any]], list[dict[str, Any]], np.ndarray]:
    """Documents and chunks of the current release in a fixed order, without what names the run or the disk."""
    store = Store(config.store.uri)
    release = Releases(store).get()
    wanted = [
        *("key", "source", "id", "content_hash", "record_hash", "duplicate_of", "n_chunks", "title", "metadata"),
        "text",
    ]
    documents = store.open("documents", release.tables["documents"]).to_table(columns=wanted).to_pylist()
    chunks = store.open(release.chunks, release.tables[release.chunks]).to_table().sort_by("id")
    vectors = as_vectors(chunks.column("vector"))
    return sorted(documents, key=lambda row: row["key"]), chunks.drop_columns("vector").to_pylist(), vectors


def assert_same(history: Config, rebuilt: Config) -> None:
    documents, chunks, vectors = table(history)
    wanted_documents, wanted_chunks, wanted_vectors = table(rebuilt)
    assert documents == wanted_documents
    assert chunks == wanted_chunks
    np.testing.assert_array_equal(vectors, wanted_vectors)


def conserved(result: RunResult) -> bool:
    counts = result.counts
    parts = ("added", "changed", "moved", "unchanged", "duplicates", "quarantined")
    return counts["documents"] == sum(counts[part] for part in parts) and (
        counts["chunks"] == counts["embedded"] + counts["reused"]
    )


def live(config: Config, folder: Folder, random: Random, steps: int) -> tuple[set[str], Versions]:
    """Refresh, then change, refresh and roll back at random; returns the outcomes that were seen, and the model."""
    versions = Versions(folder)
    versions.refreshed(refresh(config))
    outcomes = set()
    changes = folder.changes()
    for _ in range(steps):
        kept = [release.seq for release in Releases(Store(config.store.uri)).retained()]
        if kept and random.random() < 0.12:
            try:
                versions.rolled_back(rollback(config, random.choice(kept)))
                outcomes.add("rollback")
            except InputError as same:
                assert "already" in str(same)
        for _ in range(random.choice([0, 1, 1, 2, 4])):
            if len(folder.names()) > 4 or random.random() < 0.5:
                random.choice(changes)()
            else:
                folder.insert()
        result = refresh(config)
        versions.refreshed(result)
        assert conserved(result)
        assert result.counts["embedded"] <= result.counts["chunks"]
        outcomes.add(result.outcome)
    return outcomes, versions


def rebuild(base: Path, versions: Versions, **sections: Any) -> Config:
    """Build from scratch what the history holds, which no folder has any more where files broke."""
    versions.write(base / "again" / "notes")
    rebuilt = configuration(base / "again", "rebuilt", **sections)
    assert refresh(rebuilt).outcome == "published"
    return rebuilt


@pytest.mark.parametrize(
    ("seed", "steps"), [(1, STEPS // 3), *(pytest.param(seed, STEPS, marks=pytest.mark.slow) for seed in (1, 2))]
)
def test_a_history_of_random_changes_equals_a_rebuild_from_scratch(tmp_path: Path, seed: int, steps: int) -> None:
    random = Random(seed)
    folder = Folder(tmp_path / "notes", random)
    history = configuration(tmp_path, "history")

    outcomes, versions = live(history, folder, random, steps)
    refresh(history)

    assert_same(history, rebuild(tmp_path, versions))
    assert audit(history, deep=True).failed == []
    assert {"published", "unchanged", "rollback"} <= outcomes


def test_a_history_with_the_real_encoder_equals_a_rebuild(tmp_path: Path, tiny_model: Path) -> None:
    random = Random(3)
    folder = Folder(tmp_path / "notes", random)
    encoder = {"name": str(tiny_model)}
    history = configuration(tmp_path, "history", encoder=encoder)
    _, versions = live(history, folder, random, 8)
    refresh(history)

    rebuilt = rebuild(tmp_path, versions, encoder=encoder)

    documents, chunks, vectors = table(history)
    wanted_documents, wanted_chunks, wanted_vectors = table(rebuilt)
    assert (documents, chunks) == (wanted_documents, wanted_chunks)
    # Another batch shape moves a vector by 1.5e-7: the same space, not the same bits.
    np.testing.assert_allclose(vectors, wanted_vectors, atol=2e-6)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 30))
def test_long_histories_equal_a_rebuild(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    folder = Folder(tmp_path / "notes", random)
    history = configuration(tmp_path, "history")
    _, versions = live(history, folder, random, 150)
    refresh(history)
    assert_same(history, rebuild(tmp_path, versions))
