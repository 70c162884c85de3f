"""A history of random changes ends in the same tables as a rebuild from scratch."""

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
from flows.rollback import rollback
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


def configuration(base: Path, store: str, **sections: Any) -> Config:
    source = {"name": "notes", "kind": "folder", "path": "notes"}
    given = {
        "store": {"uri": store},
        "encoder": {"name": "stub"},
        "chunker": {"min_tokens": 8, "max_tokens": 24},
        "limits": {"max_lost_share": 1.0, "max_refused_share": 1.0},
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


def live(config: Config, folder: Folder, random: Random, steps: int) -> set[str]:
    """Change, refresh and roll back at random; returns the outcomes that were seen."""
    outcomes = set()
    changes = folder.changes()
    for _ in range(steps):
        kept = [release.seq for release in Releases(Store(config.store.uri)).retained()]
        if kept and random.random() < 0.12:
            try:
                rollback(config, random.choice(kept))
                outcomes.add("rollback")
            except InputError as same:
                assert "already" in str(same)
        for _ in range(random.choice([0, 1, 1, 2, 4])):
            if len(folder.names()) > 4 or random.random() < 0.5:
                random.choice(changes)()
            else:
                folder.insert()
        result = refresh(config)
        assert conserved(result)
        assert result.counts["embedded"] <= result.counts["chunks"]
        outcomes.add(result.outcome)
    return outcomes


@pytest.mark.parametrize("seed", [1, 2])
def test_a_history_of_random_changes_equals_a_rebuild_from_scratch(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    folder = Folder(tmp_path / "notes", random)
    history = configuration(tmp_path, "history")
    refresh(history)

    outcomes = live(history, folder, random, STEPS)
    refresh(history)

    rebuilt = configuration(tmp_path, "rebuilt")
    assert refresh(rebuilt).outcome == "published"
    assert_same(history, rebuilt)
    assert audit(history, deep=True).failed == []
    assert {"published", "unchanged", "rollback"} <= outcomes


def test_a_history_with_the_real_encoder_equals_a_rebuild(tmp_path: Path, tiny_model: Path) -> None:
    random = Random(3)
    folder = Folder(tmp_path / "notes", random)
    encoder = {"name": str(tiny_model)}
    history = configuration(tmp_path, "history", encoder=encoder)
    refresh(history)
    live(history, folder, random, 8)
    refresh(history)

    rebuilt = configuration(tmp_path, "rebuilt", encoder=encoder)
    refresh(rebuilt)

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
    live(history, folder, random, 150)
    refresh(history)
    rebuilt = configuration(tmp_path, "rebuilt")
    refresh(rebuilt)
    assert_same(history, rebuilt)
