"""Readers: bound to one release, searching in its space alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lancedb
import numpy as np
import pyarrow as pa
import pytest
from drafts import drafted

from storage.errors import InputError
from storage.hashing import digest, document_key
from storage.reader import Hit, Reader
from storage.tables.chunks import chunks_schema
from storage.tables.documents import DOCUMENTS
from storage.tables.releases import Release, Releases
from storage.tables.roles import chunks_table
from storage.tables.runs import Runs
from storage.tables.store import Store

SPACE = "ab" * 16
TABLE = chunks_table(SPACE)
DIMENSION = 4
AXES = np.eye(DIMENSION, dtype=np.float32)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def publish(store: Store, texts: dict[str, np.ndarray], title: str | None = "A title", **facts: Any) -> Release:
    """A release of documents of one chunk each, with these vectors."""
    documents, chunks = DOCUMENTS, chunks_schema(DIMENSION)
    for name, schema in (("documents", documents), (TABLE, chunks)):
        store.ensure(name, schema).delete("true")
    rows = [
        dict.fromkeys(documents.names)
        | {"key": document_key("notes", name), "source": "notes", "id": name, "title": title, "text": name, "run": "r1"}
        for name in texts
    ]
    pieces = [
        {
            "id": digest(name),
            "key": document_key("notes", name),
            "source": "notes",
            "document": name,
            "ordinal": 0,
            "start": 0,
            "end": len(name),
            "tokens": 1,
            "hash": digest(name),
            "text": name,
            "vector": vector.tolist(),
        }
        for name, vector in texts.items()
    ]
    store.append("documents", documents, [pa.RecordBatch.from_pylist(rows, schema=documents)] if rows else [])
    store.append(TABLE, chunks, [pa.RecordBatch.from_pylist(pieces, schema=chunks)] if rows else [])
    tables = {name: store.open(name).version for name in ("documents", TABLE)}
    releases = Releases(store)
    current = releases.current()
    draft = drafted(tables, space=SPACE, run="r1", chunker="c1", **facts)
    return releases.publish(0 if current is None else current.seq, draft)


def names(found: list[list[Hit]]) -> list[list[str]]:
    return [[hit.document for hit in hits] for hits in found]


def test_a_search_finds_the_nearest_first_with_score_and_place(store: Store) -> None:
    publish(store, {"a": AXES[0], "ab": (AXES[0] + AXES[1]) / np.sqrt(2), "b": AXES[1]})
    [hits] = Reader.open(store.uri).search(AXES[:1], k=2)
    assert hits[0].to_dict() == {
        "score": 1.0,
        "document": "a",
        "source": "notes",
        "title": "A title",
        "text": "a",
        "start": 0,
        "end": 1,
        "chunk": digest("a"),
    }
    assert (hits[1].document, hits[1].score) == ("ab", pytest.approx(np.sqrt(0.5), abs=1e-5))


def test_many_queries_are_answered_in_order(store: Store) -> None:
    publish(store, {"a": AXES[0], "b": AXES[1], "c": AXES[2]}, title=None)
    found = Reader.open(store.uri).search(AXES[[2, 0, 1]], k=1)
    assert names(found) == [["c"], ["a"], ["b"]]
    assert {hit.title for hits in found for hit in hits} == {None}


def test_there_are_no_more_hits_than_chunks(store: Store) -> None:
    publish(store, {"a": AXES[0]})
    assert names(Reader.open(store.uri).search(AXES[:1], k=10)) == [["a"]]


def test_an_empty_release_has_no_hits(store: Store) -> None:
    publish(store, {})
    assert Reader.open(store.uri).search(AXES[:2]) == [[], []]


def test_queries_of_another_space_are_refused(store: Store) -> None:
    publish(store, {"a": AXES[0]})
    with pytest.raises(InputError, match=f"space other cannot search release 1, which is of space {SPACE}"):
        Reader.open(store.uri).search(AXES[:1], space="other")


def test_nothing_is_read_before_the_first_release(store: Store) -> None:
    with pytest.raises(InputError, match="nothing is published yet"):
        Reader.open(store.uri)


def test_a_release_that_was_cleaned_away_is_told_from_one_that_never_was(store: Store) -> None:
    publish(store, {"a": AXES[0]})
    store.drop(TABLE)
    with pytest.raises(InputError, match="release 1 is no longer kept"):
        Reader.open(store.uri, 1)
    with pytest.raises(InputError, match="there is no release 2"):
        Reader.open(store.uri, 2)


def test_a_reader_stays_on_its_release(store: Store) -> None:
    publish(store, {"a": AXES[0]}, title="old")
    reader = Reader.open(store.uri)
    publish(store, {"b": AXES[0]}, title="new")
    assert names(reader.search(AXES[:1])) == [["a"]]
    assert names(Reader.open(store.uri).search(AXES[:1])) == [["b"]]
    assert Reader.open(store.uri, 1).search(AXES[:1])[0][0].title == "old"


def test_a_hit_is_explained_down_to_source_and_run(store: Store) -> None:
    Runs(store).start("r1", "refresh", code={"commit": "abc"})
    release = publish(store, {"a": AXES[0]})
    told = Reader.open(store.uri).explain(digest("a"))
    assert (told["chunk"], told["text"], told["content_hash"]) == (digest("a"), "a", digest("a"))
    assert told["span"] == {"start": 0, "end": 1, "ordinal": 0, "tokens": 1}
    assert (told["document"]["source"], told["document"]["id"], told["document"]["title"]) == ("notes", "a", "A title")
    assert (told["chunker"], told["space"], told["encoder"]["name"]) == ("c1", SPACE, "stub")
    assert (told["run"]["run"], told["run"]["code"]) == ("r1", {"commit": "abc"})
    assert told["release"] == {"release": 1, "created": release.created, "outcome": "published"}


@pytest.mark.parametrize("chunk", ["", "no hash", digest("unknown"), "x' OR true --"])
def test_an_unknown_chunk_is_named(store: Store, chunk: str) -> None:
    publish(store, {"a": AXES[0]})
    with pytest.raises(InputError, match="holds no chunk"):
        Reader.open(store.uri).explain(chunk)


def test_lancedb_opens_the_tables_and_searches_them(store: Store) -> None:
    publish(store, {"a": AXES[0], "b": AXES[1]})
    database = lancedb.connect(store.uri)
    assert {"documents", TABLE, "releases"} <= set(database.list_tables().tables)
    hits = database.open_table(TABLE).search(AXES[1]).distance_type("cosine").limit(1).to_list()
    assert [(hit["document"], hit["text"]) for hit in hits] == [("b", "b")]
    assert database.open_table("documents").count_rows("source = 'notes'") == 2
