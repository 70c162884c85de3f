"""A store in an object store keeps the promises of a folder, and tables are read from there too."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path
from signal import SIGCONT, SIGSTOP
from typing import Any

import polars as pl
import pytest
from buckets import BUCKET
from corpus import configure, counted, documents, found, held, night, prose, save
from killing import Child, End, Orders, command, refreshed, rolled_back, within
from nights import VALUES, fill, mapping, staged, state

from flows.audit import audit
from flows.config.schema import Config
from flows.rollback import rollback
from storage.hashing import digest
from storage.reader import Reader
from storage.remote import filesystem
from storage.tables.releases import Releases
from storage.tables.store import Store

FILES = {f"{name}.md": prose(name, 4) for name in ("harbour", "pilot", "ebb", "reef")}


def put(url: str, content: bytes) -> str:
    files, path = filesystem(url)
    files.pipe_file(path, content)
    return url


def test_nights_on_a_bucket_publish_reuse_and_go_back(tmp_path: Path, bucket: str, tiny_model: Path) -> None:
    config = configure(tmp_path, FILES, store={"uri": bucket}, encoder={"name": str(tiny_model)})
    first = night(config)
    assert (first.outcome, counted(first)) == ("published", {"added": 4})
    assert first.counts["embedded"] == first.counts["chunks"] > 4
    again = night(config)
    assert (again.outcome, again.counts["embedded"]) == ("unchanged", 0)

    pinned = Reader.open(bucket)
    before = found(config, "the harbour is dry")
    save(tmp_path / "notes", {"ebb.md": None, "flood.md": prose("flood"), "deep/pilot.md": FILES["pilot.md"]})
    save(tmp_path / "notes", {"pilot.md": None})
    second = night(config)
    assert counted(second) == {"added": 1, "moved": 1, "unchanged": 2, "deleted": 1}
    assert second.counts["embedded"] == documents(config)["notes/flood.md"]["n_chunks"]
    assert pinned.chunks.count_rows() == first.counts["chunks"]
    assert {hit.document for hit in found(config, "ebb", 50)}.isdisjoint({"ebb.md", "pilot.md"})

    assert rollback(config).restored == 1
    assert found(config, "the harbour is dry") == before
    assert audit(config, deep=True).failed == []
    # What a run spills and what readers copy stays out of the bucket, and out of the folder of the configuration.
    assert sorted(path.name for path in tmp_path.iterdir()) == [".tidemark", "cache", "notes"]
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [first.space]


def test_tables_in_a_bucket_are_sources(tmp_path: Path, bucket: str) -> None:
    put(f"{bucket}/in/a.jsonl", b'{"id": "a", "text": "the tide"}\n{broken\n')
    put(f"{bucket}/in/b.jsonl", b'{"id": "b", "text": "the moon"}\n')
    put(f"{bucket}/in/c.csv", b"id,text\nc,the sea\n")
    pl.DataFrame({"id": ["d"], "text": ["the reef"]}).write_parquet(tmp_path / "d.parquet")
    put(f"{bucket}/in/d.parquet", (tmp_path / "d.parquet").read_bytes())
    sources = [
        {"name": "lines", "kind": "jsonl", "path": f"{bucket}/in/*.jsonl"},
        {"name": "commas", "kind": "csv", "path": f"{bucket}/in/c.csv"},
        {"name": "columns", "kind": "parquet", "path": f"{bucket}/in/*.parquet"},
    ]
    config = configure(tmp_path, sources=sources)
    assert counted(night(config)) == {"added": 4, "quarantined": 1}
    assert held(config) == [(f"{bucket}/in/a.jsonl#L2", "readable", 1)]
    put(f"{bucket}/in/b.jsonl", b'{"id": "b", "text": "the moon and the stars"}\n')
    assert counted(night(config)) == {"changed": 1, "unchanged": 3, "quarantined": 1}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"TIDEMARK_STORE__URI": "s3://nobody/store"}, "error: s3://nobody/store: there is no such bucket; create it"),
        ({"TIDEMARK_STORE__URI": "ftp://host/store"}, "error: ftp://host/store: no kind of store has such a URL"),
        ({"TIDEMARK_SOURCES__NOTES__PATH": "s3://nobody/*.jsonl"}, "error: source 'notes': s3://nobody/*.jsonl: there"),
        ({"TIDEMARK_SOURCES__NOTES__PATH": f"{BUCKET}/no.jsonl"}, "error: source 'notes': nothing is at path 's3://"),
    ],
)
def test_a_wrong_address_is_told_in_one_line(
    tmp_path: Path, s3: dict[str, str], changes: dict[str, str], told: str
) -> None:
    save(tmp_path, {"a.jsonl": '{"id": "a", "text": "the tide"}\n'})
    file = tmp_path / "tidemark.toml"
    file.write_text('[encoder]\nname = "stub"\n[[sources]]\nname = "notes"\nkind = "jsonl"\npath = "a.jsonl"\n')
    with Child(within, s3 | changes, command, "-c", str(file), "refresh", "--json") as child:
        code, out, err = child.end().value
    assert (code, out) == (2, "")
    assert err.startswith(told)
    assert err.count("\n") == 1
    assert not (tmp_path / "store").exists()


def ran(s3: dict[str, str], settings: dict[str, Any], folder: Path, at: int | None = None) -> End:
    with Child(within, s3, refreshed, settings, folder, orders=Orders(at, values=VALUES)) as child:
        return child.end()


def die_in_a_bucket(tmp_path: Path, s3: dict[str, str], bucket: str, *, every: int) -> None:
    """Kill a first build after the first commit of each kind, of which every so many-th; test_kills.py has all."""
    fill(tmp_path / "notes")
    whole = ran(s3, mapping(f"{bucket}/whole", tmp_path / "notes"), tmp_path)
    assert whole.value is not None, whole.failure
    final = state(f"{bucket}/whole", Reader.open(f"{bucket}/whole").release)
    needed = {digest(text) for text in whole.texts} & final.hashes  # but for the texts of the probe
    moments = [at for at, name in enumerate(whole.moments) if re.fullmatch(r"after commit (?!cleanup).* 1", name)]
    assert len(moments) >= 12
    for at in moments[every - 1 :: every]:
        uri = f"{bucket}/{at}"
        settings = mapping(uri, tmp_path / "notes")
        assert ran(s3, settings, tmp_path, at).killed
        done = Releases(Store(uri)).current() is not None
        kept = staged(uri, whole.value.space)
        end = ran(s3, settings, tmp_path)
        assert end.value is not None, (whole.moments[at], end.failure)
        assert end.value.outcome == ("unchanged" if done else "published")
        embedded = sorted(digest(text) for text in end.texts if digest(text) in final.hashes)
        assert embedded == ([] if done else sorted(needed - set(kept))), whole.moments[at]
        assert state(uri, Reader.open(uri).release) == final
        assert audit(Config.from_mapping(settings, tmp_path), deep=True).failed == []


def test_a_build_in_a_bucket_can_be_killed_after_some_commits(tmp_path: Path, s3: dict[str, str], bucket: str) -> None:
    die_in_a_bucket(tmp_path, s3, bucket, every=8)


@pytest.mark.slow
def test_a_build_in_a_bucket_can_be_killed_after_each_commit(tmp_path: Path, s3: dict[str, str], bucket: str) -> None:
    die_in_a_bucket(tmp_path, s3, bucket, every=1)


def test_of_two_runs_on_a_bucket_one_works_and_of_racing_publishes_one_wins(
    tmp_path: Path, s3: dict[str, str], bucket: str
) -> None:
    fill(tmp_path / "notes")
    settings = mapping(bucket, tmp_path / "notes")
    with Child(within, s3, refreshed, settings, tmp_path, orders=Orders("before stage embed 1", SIGSTOP)) as holder:
        holder.stopped()
        refusal = ran(s3, settings, tmp_path).failure
        assert refusal is not None
        assert (refusal.kind, refusal.exit_code) == ("LeaseHeld", 4)
        assert refusal.text.startswith(f"{bucket} is held by run ")
        holder.send(SIGCONT)
        assert holder.end().value.release == 1
    save(tmp_path / "notes", {"late.md": prose("late")})
    assert ran(s3, settings, tmp_path).value.release == 2
    with ExitStack() as stack:
        orders = Orders("before commit execute releases 1", SIGSTOP)
        racers = [
            stack.enter_context(Child(within, s3, rolled_back, settings, tmp_path, 1, orders=orders)) for _ in range(3)
        ]
        for racer in racers:
            racer.stopped()
        for racer in racers:
            racer.send(SIGCONT)
        ends = [racer.end() for racer in racers]
    assert [end.value.release for end in ends if end.value is not None] == [3]
    assert [end.failure.kind for end in ends if end.failure is not None] == ["ReleaseMoved"] * 2
    assert Releases(Store(bucket)).get().restored == 1


def test_damage_in_a_bucket_is_mended_without_renaming(tmp_path: Path, bucket: str) -> None:
    config = configure(tmp_path, FILES, store={"uri": bucket})
    night(config)
    before = found(config, "the harbour is dry")
    chunks = Releases(Store(bucket)).get().chunks
    for table, part in (chunks, "data"), (chunks, "_refs/tags"), ("documents", "_versions"), ("runs", "data"):
        files, path = filesystem(f"{bucket}/{table}.lance/{part}")
        for name in files.find(path):
            files.pipe_file(name, files.cat_file(name)[:20])
    assert not audit(config).ok
    assert night(config, rebuild=True).outcome == "published"
    assert audit(config, deep=True).failed == []
    assert found(config, "the harbour is dry") == before
    files, path = filesystem(f"{bucket}/.damaged")
    assert files.find(path)
