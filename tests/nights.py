"""A small corpus and the nights of a store: what a run starts from, and what it must leave whatever befalls it."""

from __future__ import annotations

import functools
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from killing import Child, End, Orders, refreshed, vacuum_everything

from models.config import EncoderConfig
from models.encoder import resolve
from storage.reader import Reader
from storage.tables.chunks import chunks_schema
from storage.tables.quarantine import Quarantine
from storage.tables.releases import Release, Releases
from storage.tables.store import Store
from storage.tables.vectors import vectors_table

__all__ = [
    "VALUES",
    "Answer",
    "Night",
    "State",
    "answer",
    "change",
    "current",
    "entries",
    "fill",
    "first_night",
    "mapping",
    "merging_night",
    "polled",
    "refused",
    "second_night",
    "staged",
    "state",
    "switching_night",
    "tidying_night",
    "uneventful",
]

WORDS = ("tide", "moon", "sea", "harbour", "current", "wave", "shore", "chart", "pilot", "wind", "swell", "reef", "ebb")
QUERIES = ("harbour pilot chart", "ebb and flood", "moon over the reef")
# Few texts a durable write, so that a tiny night has several; every file is old enough to be cleaned up.
VALUES = {
    "tasks.build.embed:SMALLEST": 5,
    "tasks.build.embed:LARGEST": 5,
    "storage.tables.store:Store.vacuum": vacuum_everything,
}

HASH = chunks_schema(1).names.index("hash")

Answer = tuple[tuple[tuple[str, float, str], ...], ...]
Row = tuple[Any, ...]


def prose(seed: int, sentences: int) -> str:
    """Text of some sentences in paragraphs."""
    random = Random(seed)
    lines = [" ".join(random.choices(WORDS, k=random.randint(8, 14))).capitalize() + "." for _ in range(sentences)]
    return "\n\n".join(" ".join(lines[at : at + 4]) for at in range(0, sentences, 4)) + "\n"


def fill(folder: Path) -> None:
    """Write the documents of the first night: one long, two equal, one that is refused."""
    folder.mkdir(parents=True)
    (folder / "long.md").write_text(prose(100, 200))
    for number in range(10):
        (folder / f"n{number}.md").write_text(prose(number, 6 + 3 * (number % 4)))
    (folder / "twin.md").write_text((folder / "n1.md").read_text())
    (folder / "empty.md").write_text("")


def change(folder: Path) -> None:
    """Make the changes of the second night: of each kind that a folder can show, one or more."""
    text = (folder / "long.md").read_text()
    (folder / "long.md").write_text(text.replace(".\n\n", ".\n\nOne more line of the pilot.\n\n", 1))
    (folder / "n2.md").write_text(prose(22, 10))
    (folder / "n3.md").unlink()
    (folder / "deep").mkdir()
    (folder / "n4.md").rename(folder / "deep" / "moved.md")
    shutil.copy(folder / "n5.md", folder / "copy.md")
    (folder / "n1.md").unlink()  # its twin takes its place
    (folder / "n6.md").write_text("")  # refused now
    (folder / "empty.md").write_text(prose(66, 5))  # accepted now
    (folder / "new.md").write_text(prose(77, 40))


def mapping(store: Path | str, notes: Path, encoder: str = "stub", **sections: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration, as its TOML file would say it."""
    return {
        "store": {"uri": str(store)},
        "encoder": {"name": encoder},
        "sources": [{"name": "notes", "kind": "folder", "path": str(notes)}],
        **sections,
    }


@dataclass(frozen=True)
class State:
    """What a release holds, but for what may differ between two ways to it: runs, times and the order of rows."""

    chunks: tuple[Row, ...] = ()
    documents: tuple[Row, ...] = ()

    @property
    def hashes(self) -> set[str]:
        """Content hashes of the chunks."""
        return {row[HASH] for row in self.chunks}


@dataclass(frozen=True)
class Night:
    """A night that is run again and again, each time on a copy of the same store.

    Attributes:
        folder: Where notes, store and copies lie.
        settings: Gives the configuration for a store.
        before: Number of the release that it starts from, 0 for none.
        old: What that release answers.
        final: What the release holds that a run makes whom nothing befalls.
        new: What it answers.
        end: How that run ended.
        entries: Names in the store after it.
        refused: What is in quarantine after it.
    """

    folder: Path
    settings: Callable[[Path], dict[str, Any]]
    before: int = 0
    old: Answer = ()
    final: State = State()
    new: Answer = ()
    end: End = field(default_factory=partial(End, 0))
    entries: Sequence[str] = ()
    refused: Sequence[Row] = ()

    def case(self, name: str, done: bool = False) -> Path:
        """A copy of the store as it was before the night, or as it was after it."""
        uri = self.folder / "cases" / name
        shutil.rmtree(uri, ignore_errors=True)
        if done or self.before:
            shutil.copytree(self.folder / "cases" / "whole" if done else self.folder / "store", uri)
        return uri

    def refresh(self, uri: Path, at: int | str | None = None) -> Child:
        """Start the night's run."""
        return Child(refreshed, self.settings(uri), self.folder, orders=Orders(at, values=VALUES))


def first_night(folder: Path) -> Night:
    """The first build."""
    fill(folder / "notes")
    return _rehearsed(Night(folder, partial(mapping, notes=folder / "notes")))


def second_night(folder: Path) -> Night:
    """A change of each kind."""
    fill(folder / "notes")
    settings = partial(mapping, notes=folder / "notes")
    uneventful(folder, settings(folder / "store"))
    change(folder / "notes")
    return _rehearsed(Night(folder, settings))


def merging_night(folder: Path) -> Night:
    """A few rows come and one goes, as did the night before: the newest parts of the full-text index become one."""
    fill(folder / "notes")
    settings = partial(mapping, notes=folder / "notes")
    for name in ("later", "last"):
        uneventful(folder, settings(folder / "store"))
        text = (folder / "notes" / "n2.md").read_text()
        (folder / "notes" / "n2.md").write_text(text.replace(".", f", and {name}.", 1))
        (folder / "notes" / f"{name}.md").write_text(f"The ebb came {name} than the chart had said.\n")
    return _rehearsed(Night(folder, settings))


def switching_night(folder: Path) -> Night:
    """Another encoder, and no change of the documents."""
    fill(folder / "notes")
    uneventful(folder, mapping(folder / "store", folder / "notes"))
    return _rehearsed(Night(folder, partial(mapping, notes=folder / "notes", encoder="stub:2")))


def tidying_night(folder: Path) -> Night:
    """Three releases in two spaces, of which the night's run keeps none."""
    fill(folder / "notes")
    for encoder in ("stub:2", "stub"):
        uneventful(folder, mapping(folder / "store", folder / "notes", encoder=encoder))
    (folder / "notes" / "later.md").write_text("The ebb came later than the chart had said.\n")
    uneventful(folder, mapping(folder / "store", folder / "notes"))
    change(folder / "notes")
    return _rehearsed(Night(folder, partial(mapping, notes=folder / "notes", releases={"keep": 1})))


def uneventful(folder: Path, settings: Mapping[str, Any], **values: Any) -> End:
    """Run a refresh that nothing befalls."""
    with Child(refreshed, settings, folder, orders=Orders(values=VALUES | values)) as child:
        end = child.end()
    assert end.value is not None, end.failure
    return end


def _rehearsed(night: Night) -> Night:
    """Run a night once as it should be, to know its moments and its end."""
    base = current(night.folder / "store")
    if base is not None:
        night = replace(night, before=base.seq, old=answer(Reader.open(str(night.folder / "store"))))
    uri = night.case("whole")
    end = uneventful(night.folder, night.settings(uri))
    assert end.value.outcome == "published", end.value
    reader = Reader.open(str(uri))
    final = state(uri, reader.release)
    held = refused(uri)
    return replace(night, final=final, new=answer(reader), end=end, entries=entries(uri), refused=held)


def state(uri: Path | str, release: Release) -> State:
    """Read everything that a release holds."""
    store = Store(uri)
    chunks = store.open(release.chunks, release.tables[release.chunks]).to_table().to_pylist()
    documents = store.open("documents", release.tables["documents"]).to_table().to_pylist()
    for row in chunks:
        row["vector"] = np.array(row["vector"], dtype=np.float32).tobytes()
    for row in documents:
        row["run"] = row["timestamp"] = None
        row["queries"] = tuple(row["queries"])
    return State(_rows(chunks), _rows(documents))


def _rows(rows: Sequence[Mapping[str, Any]]) -> tuple[Row, ...]:
    return tuple(sorted((tuple(row.values()) for row in rows), key=lambda row: str(row[0])))


def entries(uri: Path) -> list[str]:
    """Names of tables, models and leftovers in a store."""
    return sorted(path.relative_to(uri).as_posix() for pattern in ("*", "models/*") for path in uri.glob(pattern))


def current(uri: Path | str) -> Release | None:
    """The release that readers see now."""
    return Releases(Store(uri)).current()


def answer(reader: Reader) -> Answer:
    """Everything that a reader says to the fixed queries."""
    vectors = _queries(reader.release.text.encoder.name)
    return tuple(
        tuple((hit.chunk, hit.score, hit.text) for hit in hits)
        for hits in reader.search(vectors, 5, space=reader.release.space)
    )


@functools.cache
def _queries(encoder: str) -> np.ndarray:
    return resolve(EncoderConfig(name=encoder)).open().encode_queries(QUERIES)


def staged(uri: Path | str, space: str) -> list[str]:
    """Hashes of the vectors that unfinished runs left, a repeated one as often as it lies there."""
    table = Store(uri).find(vectors_table(space))
    return [] if table is None else [str(found) for found in table.to_table(columns=["hash"])["hash"].to_pylist()]


def refused(uri: Path) -> list[Row]:
    """Document, rule and attempts of every row in quarantine."""
    return sorted((row["document"], row["rule"], row["attempts"]) for row in Quarantine(Store(uri)).all())


def polled(uri: Path, until: Path, seq: int | None) -> list[tuple[int, Answer]]:
    """The work of a reader: it asks again and again until a file appears.

    Args:
        uri: The store.
        until: The file.
        seq: The release that it opened once; None to open the current one anew each time.

    Returns:
        The release and what it answered, one a poll.
    """
    reader = Reader.open(str(uri), seq)
    polls = []
    while not until.exists():
        if seq is None:
            reader = Reader.open(str(uri))
        try:
            polls.append((reader.release.seq, answer(reader)))
        except (OSError, RuntimeError, ValueError):  # LanceDB, Lance and Arrow each have their own
            # Here clean-up waits for nobody: a release that was let go since it was opened may lose its files at once,
            # where the product leaves readers a day. One that is kept must answer.
            if any(kept.seq == reader.release.seq for kept in Releases(Store(str(uri))).retained()):
                raise
        time.sleep(0.005)
    return polls
