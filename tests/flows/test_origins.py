"""Whatever a file with a new digest was made of, was proved in the same night; what was not read keeps its digest."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lance
import pytest
from corpus import Scripted, item, prose
from corpus import configure as plain
from damage import damaged

from flows.audit import audit
from flows.config.schema import Config
from flows.refresh import refresh
from storage.errors import failures
from storage.hashing import digest
from storage.tables.origins import data_files, written_since
from storage.tables.releases import Release, Releases
from storage.tables.store import Store
from storage.tables.vectors import as_vectors
from tasks.build import index as building
from tasks.release import proof

INDEX = {"min_rows": 256}
Files = dict[str, str | None]
Sections = dict[str, Any]
SEED = int(os.environ.get("TIDEMARK_SEED", random.SystemRandom().randrange(10**6)))
FIRST: Files = {f"{n:02}.md": prose(f"word{n}", 8) for n in range(20)} | {"twin.md": prose("word5", 8)}
NEVER = 10**9  # releases within which every file is proved: so many that no turn comes


@pytest.fixture(scope="module")
def aged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of three releases: the files of the first are older than the third, and stay."""
    base = tmp_path_factory.mktemp("aged")
    first = FIRST | {"leaver.md": prose("leaver", 4)}
    for changes in (first, {"new.md": prose("new", 4)}, {"00.md": prose("other", 8)}):
        change(base, changes)
        assert refresh(configure(base)).outcome == "published"
    return base


@pytest.fixture
def folder(aged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of it, to be damaged; the turn of an older file does not come by itself."""
    monkeypatch.setattr(proof, "NIGHTS", NEVER)
    shutil.copytree(aged, tmp_path / "aged")
    yield tmp_path / "aged"


def configure(folder: Path, **sections: Any) -> Config:
    """Documents of a script: those of a folder would all be touched by its being copied."""
    return plain(folder, sources=[Scripted.config()], **{"index": INDEX} | sections)


def change(folder: Path, files: Files, revision: str = "") -> None:
    """Write documents; None removes one."""
    script = folder / "script.json"
    held: Files = {row["id"]: row["text"] for row in json.loads(script.read_text())["list"]} if script.exists() else {}
    texts = {name: text for name, text in {**held, **files}.items() if text is not None}
    rows = [
        item(name, text, revision=digest(text) + (revision if name in files else "")) for name, text in texts.items()
    ]
    Scripted.write(script, rows)


def latest(config: Config) -> tuple[Store, Release]:
    store = Store(config.store.uri)
    return store, Releases(store).get()


def oldest(config: Config, name: str) -> Path:
    """The data file that the first release wrote."""
    store, _ = latest(config)
    table = store.open(name, Releases(store).get(1).tables[name])
    (file,) = data_files(table.get_fragments())
    return Path(table.uri) / file


def corrupt(config: Config, name: str, column: str, file: Path) -> None:
    """Flip a bit of a file such that a column still can be read, and another value is read."""
    store, _ = latest(config)
    table = store.open(name, Releases(store).get(1).tables[name])
    whole, content = table.to_table(columns=[column])[column], bytearray(file.read_bytes())
    # Vectors lie in the file as they are; texts are compressed, and most of it.
    known = column == "vector"
    places = [content.index(as_vectors(whole)[0].tobytes())] if known else range(len(content) // 3, len(content), 97)
    for place in places:
        content[place] ^= 1
        file.write_bytes(content)
        try:
            found = store.open(name, table.version).to_table(columns=[column])[column]
            if found != whole:
                return
        except failures():
            pass
        content[place] ^= 1
    raise AssertionError(f"no bit of {file.name} changes {column}")


def edited(text: str | None) -> str:
    """The text with one more paragraph in front: all its chunks move, and their vectors are used again."""
    title, _, rest = str(text).partition("\n\n")
    return f"{title}\n\nA paragraph came in front of all others, and it is long enough for a chunk.\n\n{rest}"


ADDED: Files = {"added.md": prose("added", 4)}
# What changes, the configuration, and from which tables' first files the night copies.
KINDS: dict[str, tuple[Files, Sections, set[str]]] = {
    "a document comes": (ADDED, {}, set()),
    "a document goes": ({"07.md": None}, {}, set()),
    "a document whose chunks lie in a newer file is edited": ({"00.md": edited(prose("other", 8))}, {}, set()),
    "an old document is edited": ({"07.md": edited(FIRST["07.md"])}, {}, {"chunks"}),
    "an old document is renamed": ({"07.md": None, "seven.md": FIRST["07.md"]}, {}, {"chunks"}),
    "a duplicate takes the place of its document": ({"05.md": None}, {}, {"chunks", "documents"}),
    "an old document is touched": (ADDED | {"07.md": FIRST["07.md"]}, {}, {"documents"}),
    "another kind of index": (ADDED, {"index": INDEX | {"kind": "int8"}}, {"chunks"}),
    "another tokenizer of the full-text index": (ADDED, {"index": INDEX | {"tokenizer": "simple"}}, {"chunks"}),
    "vectors are rounded": (ADDED, {"index": INDEX | {"precision": "float16"}}, {"chunks", "documents"}),
    "documents are cut in another way": (
        ADDED,
        {"chunker": {"min_tokens": 6, "max_tokens": 24}},
        {"chunks", "documents"},
    ),
}
DAMAGED = {"chunks": "vector", "documents": "text"}


def damaged_sides(config: Config) -> dict[str, str]:
    """Damage the first files of both tables; what a refusal says of each."""
    told = {}
    for side, name in {"chunks": latest(config)[1].chunks, "documents": "documents"}.items():
        file = oldest(config, name)
        corrupt(config, name, DAMAGED[side], file)
        told[side] = f"{name}.lance/data/{file.name} is changed"
    return told


@pytest.mark.parametrize("kind", KINDS)
def test_a_night_copies_nothing_out_of_a_damaged_file(folder: Path, kind: str) -> None:
    changes, sections, copied = KINDS[kind]
    told = damaged_sides(configure(folder))
    change(folder, changes, revision="again" if "touched" in kind else "")
    result = refresh(configure(folder, **sections))
    assert result.outcome == ("refused" if copied else "published")
    assert {side for side, words in told.items() if words in result.message} == copied  # the others were not read
    if not copied:
        failed = {check.name: check.detail for check in audit(configure(folder), deep=True).failed}
        assert all(words in failed["release.files"] for words in told.values())


def test_compaction_copies_nothing_out_of_a_damaged_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "FRAGMENTS", 1)
    monkeypatch.setattr(building, "PARTS", 1)  # chunks wait until their indexes are merged
    told = damaged_sides(configure(folder))
    change(folder, ADDED)
    result = refresh(configure(folder))
    assert (result.outcome, [side for side, words in told.items() if words in result.message]) == (
        "refused",
        ["chunks", "documents"],
    )


def test_a_vector_that_only_an_earlier_release_holds_is_proved_before_it_is_used_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configure(folder)
    name = latest(config)[1].chunks
    file = oldest(config, name)
    with monkeypatch.context() as patch:
        patch.setattr(building, "FRAGMENTS", 1)
        patch.setattr(building, "PARTS", 1)
        change(folder, {"leaver.md": None, "merged.md": prose("merged", 4)})
        assert refresh(config).outcome == "published"
    _, release = latest(config)
    assert f"data/{file.name}" not in release.digests[name]  # compacted away, and kept by earlier releases
    corrupt(config, name, "vector", file)
    change(folder, ADDED)
    assert refresh(config).outcome == "published"  # it takes nothing from there
    change(folder, {"leaver.md": prose("leaver", 4)})
    result = refresh(config)
    assert (result.outcome, f"data/{file.name} is changed" in result.message) == ("refused", True)


def rows_by_key(table: lance.LanceDataset, name: str, **some: Any) -> dict[str, dict[str, Any]]:
    """Rows of a table by what identifies them, but for the run that wrote them."""
    columns = [column for column in table.schema.names if column != "run"]
    rows = table.scanner(columns=columns, **some).to_table().to_pylist()
    return {row["key" if name == "documents" else "id"]: row for row in rows}


def written(config: Config, name: str) -> dict[str, dict[str, Any]]:
    """The rows of the current release that lie in files which the store of the fixture had not."""
    store, release = latest(config)
    table, older = store.open(name, release.tables[name]), Releases(store).get(3).tables.get(name)
    fresh = table.get_fragments() if older is None else written_since(table, store.open(name, older))
    return rows_by_key(table, name, fragments=fresh) if fresh else {}


def published(config: Config, name: str) -> dict[str, dict[str, Any]]:
    """The rows of all releases that came after the store of the fixture."""
    store, release = latest(config)
    later = [Releases(store).get(seq).tables.get(name) for seq in range(4, release.seq + 1)]
    found: dict[str, dict[str, Any]] = {}
    for version in later:
        found |= {} if version is None else rows_by_key(store.open(name, version), name)
    return found


def walk(folder: Path, steps: list[str], number: int) -> list[str]:
    """Nights of changes; what each came to."""
    outcomes = []
    for step, kind in enumerate(steps):
        files, sections, _ = KINDS[kind]
        change(folder, files)
        change(folder, {f"walk{number}-{step}.md": prose(f"walk{number}step{step}", 3)})
        try:
            outcomes.append(str(refresh(configure(folder, **sections)).outcome))
        except failures():  # what cannot be read ends a run
            outcomes.append("failed")
    return outcomes


def held_against(bad: Path, good: Path, told: str) -> None:
    """What a damaged store published is what a whole one did, and the digests of what was there are as they were."""
    config, control = configure(bad), configure(good)
    store, release = latest(config)
    before = Releases(store).get(3)
    for name in release.tables:
        wanted = published(control, name)
        for key, row in written(config, name).items():
            assert row == wanted[key], f"{told}: the row {key} of {name} was copied with the damage"
    for name, recorded in release.digests.items():
        known = before.digests.get(name, {})
        assert {file: known.get(file, found) for file, found in recorded.items()} == recorded, told


def newest(folder: Path) -> int:
    """Number of the newest release; 0 where the table of releases is damaged, upon which nothing is published."""
    try:
        return latest(configure(folder))[1].seq
    except failures():
        return 0


def drill(aged: Path, place: Path, rounds: int) -> None:
    """Flip a bit of some file, and go on for two nights."""
    random_ = random.Random(SEED)
    for number in range(rounds):
        steps = random_.choices(sorted(KINDS), k=2)
        good, bad = place / f"good{number}", place / f"bad{number}"
        for copy in (good, bad):
            shutil.copytree(aged, copy)
        told = f"seed {SEED}, nights {steps}: {damaged(random_, bad / 'store', lost=False)}"
        assert walk(good, steps, number) == ["published"] * len(steps), told
        walk(bad, steps, number)
        if newest(bad) > 3:
            held_against(bad, good, told)
        shutil.rmtree(good)
        shutil.rmtree(bad)


def test_no_new_file_holds_what_was_damaged(aged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof, "NIGHTS", NEVER)
    drill(aged, tmp_path, 2)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_no_new_file_holds_what_was_damaged_in_hundred_stores(
    aged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proof, "NIGHTS", NEVER)
    drill(aged, tmp_path, 100)
