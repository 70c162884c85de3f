"""Whether a reader could open a release and query it, told without reading what it holds."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from corpus import configure, prose, save

from flows.refresh import refresh
from storage.readable import readable
from storage.tables.releases import Releases
from storage.tables.store import Store


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two releases over the floor of the index, the second of which has deleted rows."""
    base = tmp_path_factory.mktemp("made")
    texts: dict[str, str | bytes | None] = {f"{n:02}.md": prose(f"word{n}", 8) for n in range(40)}
    refresh(configure(base, texts, index={"min_rows": 256}))
    shutil.copytree(base / "store", base / "before")
    save(base / "notes", {"03.md": None, "new.md": prose("new", 8)})
    refresh(configure(base, index={"min_rows": 256}))
    return base


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of it, to be damaged."""
    return Path(shutil.copytree(made, tmp_path / "made")) / "store"


def fault(folder: Path) -> str | None:
    store = Store(folder)
    return readable(store, Releases(store).get())


def test_a_sound_release_is_readable_and_an_older_one_too(folder: Path) -> None:
    store = Store(folder)
    assert [readable(store, release) for release in Releases(store).all()] == [None, None]
    assert Releases(store).get().text.index.approximate


def lose(pattern: str) -> Callable[[Path], None]:
    def delete(store: Path) -> None:
        [first, *_] = sorted(store.glob(pattern))
        shutil.rmtree(first) if first.is_dir() else first.unlink()

    return delete


def cut(pattern: str) -> Callable[[Path], None]:
    def shorten(store: Path) -> None:
        [first, *_] = sorted(store.glob(pattern))
        first.write_bytes(first.read_bytes()[:40])

    return shorten


def put_back(store: Path) -> None:
    """Put the chunk table of one release ago back."""
    [table] = store.glob("chunks__*.lance")
    shutil.rmtree(table)
    shutil.copytree(store.parent / "before" / table.name, table)


def empty(store: Path) -> None:
    """Delete every tag."""
    for file in store.glob("*.lance/_refs/tags/*"):
        file.unlink()


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lose("chunks__*.lance/data/*"), r"chunks__\w+\.lance/data/\w+\.lance is missing"),
        (cut("chunks__*.lance/data/*"), r"chunks__\w+\.lance/data/\w+\.lance is cut off"),
        (lose("documents.lance/data/*"), r"documents\.lance/data/\w+\.lance is missing"),
        (lose("chunks__*.lance/_deletions/*"), r"chunks__\w+\.lance/_deletions/\S+ is missing"),
        (lose("chunks__*.lance"), r"there is no table 'chunks__\w+' at version rel-2-"),
        (empty, r"there is no table 'chunks__\w+' at version rel-2-"),
        (put_back, r"there is no table 'chunks__\w+' at version rel-2-"),
        (lose("models"), r"models/\w+ is missing"),
        (lose("models/*/probe.npy"), r"models/\w+/probe\.npy is missing"),
        (lose("models/*/tidemark.json"), r"models/\w+ is missing"),
    ],
)
def test_what_readers_would_fail_on_is_named(folder: Path, damage: Callable[[Path], None], told: str) -> None:
    damage(folder)
    found = fault(folder)
    assert found is not None
    assert re.search(told, found), found


def test_a_lost_or_shortened_index_is_named(folder: Path) -> None:
    store = Store(folder)
    release = Releases(store).get()
    indices = store.open(release.chunks, release.tag).describe_indices()
    assert len(indices) == 2  # of vectors, and of words
    for used in [segment for each in indices for segment in each.segments]:
        index, kept = folder / f"{release.chunks}.lance" / "_indices" / used.uuid, folder / "kept"
        shutil.copytree(index, kept)
        cut("*")(index)
        assert fault(folder) == f"{release.chunks}.lance/_indices/{used.uuid} is cut off"
        shutil.rmtree(index)
        assert fault(folder) == f"{release.chunks}.lance/_indices/{used.uuid} is missing"
        kept.replace(index)


def test_a_tag_that_was_moved_is_named(folder: Path) -> None:
    store = Store(folder)
    release = Releases(store).get()
    wrong = replace(release, tables=release.tables | {"documents": 1})
    assert "its tag names version" in str(readable(store, wrong))


def test_files_that_no_longer_belong_to_the_release_are_not_missed(folder: Path) -> None:
    store = Store(folder)
    release = Releases(store).get()
    used = {file.path for part in store.open("documents", release.tag).get_fragments() for file in part.data_files()}
    for file in (folder / "documents.lance" / "data").iterdir():
        if file.name not in used:
            file.unlink()
    assert fault(folder) is None
    names = json.loads((folder / "models" / release.space / "tidemark.json").read_text())
    assert names


def test_a_release_in_a_bucket_is_looked_at_by_listings(tmp_path: Path, bucket: str) -> None:
    texts: dict[str, str | bytes | None] = {f"{n:02}.md": prose(f"word{n}", 8) for n in range(40)}
    refresh(configure(tmp_path, texts, store={"uri": bucket}, index={"min_rows": 256}))
    from storage.remote import filesystem

    store = Store(bucket)
    release = Releases(store).get()
    assert readable(store, release) is None
    files, root = filesystem(bucket)
    [index, *_] = files.find(f"{root}/{release.chunks}.lance/_indices")
    files.rm_file(index)
    assert "/_indices/" in str(readable(store, release))
    [data, *_] = files.find(f"{root}/documents.lance/data")
    files.rm_file(data)
    files.rm_file(f"{root}/models/{release.space}/probe.npy")
    assert "/_indices/" in str(readable(store, release))
