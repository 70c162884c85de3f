"""Small corpora and stores for tests: documents that differ, a configuration, a run's context, a scripted source."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from flows.clock import Clock
from flows.config.schema import Config
from flows.context import opened, rebased
from flows.prepare import prepare
from flows.refresh import RunResult, refresh
from models.encoder import EncoderFolder, resolve
from storage.reader import Hit, Reader
from storage.registry import Registry
from storage.sources.base import DOCUMENTS, LISTING, SourceConfig
from storage.tables.quarantine import Quarantine
from storage.tables.releases import Releases
from storage.tables.store import Store
from tasks.context import Context
from tasks.curate.validation import load_suite
from tasks.progress import Silent
from tasks.tally import Preparation

__all__ = [
    "NOTES",
    "PARTS",
    "Scripted",
    "configure",
    "context",
    "counted",
    "documents",
    "encoder",
    "found",
    "held",
    "item",
    "night",
    "prepared",
    "prose",
    "rows",
    "save",
    "script",
]

PARTS = ("added", "changed", "moved", "unchanged", "duplicates", "quarantined")
NOTES = {"name": "notes", "kind": "folder", "path": "notes"}


def prose(name: str, paragraphs: int = 2) -> str:
    """A text of which every sentence says its name and number: equal names give equal texts, others share nothing."""
    lines = [
        " ".join(f"The {name} of row {number} and column {column} is dry." for column in range(3))
        for number in range(paragraphs)
    ]
    return f"# {name.title()}\n\n" + "\n\n".join(lines)


def save(folder: Path, files: Mapping[str, str | bytes | None]) -> None:
    """Write files below a folder; None removes one."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)


def configure(base: Path, files: Mapping[str, str | bytes | None] | None = None, **sections: Any) -> Config:
    """A configuration with the stub encoder, a folder source `notes` holding these files, and lenient limits."""
    save(base / "notes", files or {})
    (base / "notes").mkdir(exist_ok=True)
    given = {
        "store": {"uri": "store"},
        "encoder": {"name": "stub"},
        "chunker": {"min_tokens": 8, "max_tokens": 24},
        "limits": {"max_lost_share": 1.0, "max_refused_share": 1.0},
        "sources": [NOTES],
    }
    return Config.from_mapping(given | sections, base)


@contextmanager
def context(config: Config, run: str = "20260101-000000-aaaaaa") -> Iterator[Context]:
    """What every stage of a run shares, on top of the current release."""
    with opened(config, run, Silent()) as unbound:
        yield rebased(unbound)


def encoder(config: Config) -> EncoderFolder:
    """The configured encoder, found."""
    return resolve(config.encoder, config.base)


def prepared(context: Context, config: Config) -> Preparation:
    """What the stages that only read say."""
    return prepare(context, encoder(config), load_suite(config.validation), config, Clock(Silent()))


def documents(config: Config, release: int | None = None) -> dict[str, dict[str, Any]]:
    """The documents of a release by `source/id`."""
    store = Store(config.store.uri)
    table = store.open("documents", Releases(store).get(release).tables["documents"])
    return {f"{row['source']}/{row['id']}": row for row in table.to_table().to_pylist()}


def rows(config: Config, release: int | None = None) -> list[dict[str, Any]]:
    """The chunks of a release by document and ordinal."""
    store = Store(config.store.uri)
    found = Releases(store).get(release)
    table = store.open(found.chunks, found.tables[found.chunks]).to_table().to_pylist()
    return sorted(table, key=lambda row: (row["source"], row["document"], row["ordinal"]))


def found(config: Config, text: str, k: int = 3, release: int | None = None) -> list[Hit]:
    """Search a release with the encoder that it keeps."""
    reader = Reader.open(config.store.uri, release)
    opened = resolve(Registry(reader.store).fetch(reader.release.space)).open()
    return reader.search(opened.encode_queries([text]), k, space=opened.space.id)[0]


def night(config: Config, **approved: bool) -> RunResult:
    """A refresh, its invariants checked."""
    result = refresh(config, **approved)
    counts = result.counts
    assert counts["documents"] == sum(counts[part] for part in PARTS)
    assert counts["chunks"] == counts["embedded"] + counts["reused"]
    return result


def counted(result: RunResult) -> dict[str, int]:
    """The counts of documents that are not zero."""
    return {name: result.counts[name] for name in (*PARTS, "deleted") if result.counts[name]}


def held(config: Config) -> list[tuple[str, str, int]]:
    """Document, rule and attempts of everything in quarantine."""
    rows = Quarantine(Store(config.store.uri)).all()
    return sorted((row["document"], row["rule"], row["attempts"]) for row in rows)


def script(base: Path, *listed: dict[str, Any], **sections: Any) -> Config:
    """A configuration whose only source is scripted."""
    Scripted.write(base / "script.json", listed)
    return configure(base, sources=[Scripted.config()], **sections)


def item(name: str, text: str | None = None, **facts: Any) -> dict[str, Any]:
    """One row of a script."""
    return {"id": name, "text": prose(name) if text is None else text, **facts}


class Scripted:
    """A source that lists and reads what a JSON file says: `corpus:Scripted`, with the file as its `path`.

    The file has `list`, the rows of the listing, and `read`, slices of documents; a row without a revision has `r1`.
    """

    def __init__(self, config: SourceConfig, base_dir: Path) -> None:
        self.name = config.name
        self._file = base_dir / str((config.model_extra or {})["path"])

    @staticmethod
    def config(path: str = "script.json", name: str = "script") -> dict[str, str]:
        """The source's table."""
        return {"name": name, "kind": "corpus:Scripted", "path": path}

    @staticmethod
    def write(
        file: Path, listed: Iterable[Mapping[str, Any]], read: Iterable[Iterable[Mapping[str, Any]]] | None = None
    ) -> None:
        """Write the script; what is listed is read, in one slice, unless it says otherwise."""
        listed = [dict(row) for row in listed]
        slices = [listed] if read is None else [[dict(row) for row in part] for part in read]
        file.write_text(json.dumps({"list": listed, "read": slices}))

    def list(self) -> Iterator[pl.DataFrame]:
        """The listing, one slice."""
        rows = [
            {"id": row["id"], "revision": row.get("revision", "r1"), "bytes": None, "problem": row.get("problem")}
            for row in self._script()["list"]
        ]
        yield pl.DataFrame(rows, schema=LISTING)

    def read(self, ids: pl.Series) -> Iterator[pl.DataFrame]:
        """The slices of the script, without the rows that are not asked for."""
        wanted = set(ids)
        plain = {
            "text": "",
            "title": None,
            "metadata": "{}",
            "licence": None,
            "timestamp": None,
            "queries": [],
            "blob": None,
            "untimed": None,
        }
        for part in self._script()["read"]:
            rows = [plain | {"revision": "r1", "problem": None} | row for row in part if row["id"] in wanted]
            for row in rows:
                row["timestamp"] = row["timestamp"] and datetime.fromisoformat(row["timestamp"])
            yield pl.DataFrame([{name: row[name] for name in DOCUMENTS} for row in rows], schema=DOCUMENTS)

    def _script(self) -> dict[str, Any]:
        script: dict[str, Any] = json.loads(self._file.read_text())
        return script
