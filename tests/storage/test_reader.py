"""Readers: bound to one release, searching in its space alone."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from drafts import drafted
from hypothesis import given, settings
from hypothesis import strategies as st

from models.vectors import unit
from storage.errors import InputError
from storage.hashing import digest, document_key
from storage.reader import RANKED, Hit, Reader
from storage.tables import chunks as chunk_rows
from storage.tables.chunks import ChunkTable, Span, chunks_schema
from storage.tables.documents import DOCUMENTS
from storage.tables.index import build, nearest
from storage.tables.releases import Release, Releases
from storage.tables.roles import IndexFacts, chunks_table
from storage.tables.runs import Runs
from storage.tables.store import Store
from storage.tables.words import build_text

SPACE = "ab" * 16
TABLE = chunks_table(SPACE)
DIMENSION = 8  # the least that the index takes
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
    import lancedb  # two seconds, which no other test needs

    publish(store, {"a": AXES[0], "b": AXES[1]})
    database = lancedb.connect(store.uri)
    assert {"documents", TABLE, "releases"} <= set(database.list_tables().tables)
    hits = database.open_table(TABLE).search(AXES[1]).distance_type("cosine").limit(1).to_list()
    assert [(hit["document"], hit["text"]) for hit in hits] == [("b", "b")]
    assert database.open_table("documents").count_rows("source = 'notes'") == 2


VECTORS = st.lists(st.sampled_from([(1, 0), (0, 1), (1, 1), (-1, 0)]), min_size=1, max_size=12)


@settings(max_examples=20, deadline=None)
@given(vectors=VECTORS, k=st.integers(1, 14))
def test_hits_come_as_pylance_has_them_equal_scores_too(
    tmp_path_factory: pytest.TempPathFactory, vectors: list[tuple[int, int]], k: int
) -> None:
    store = Store(tmp_path_factory.mktemp("store"))
    release = publish(store, {f"{n}": np.array([*one, *[0] * 6], np.float32) for n, one in enumerate(vectors)})
    reader = Reader.open(store.uri)
    for query, hits in zip(AXES[:2], reader.search(AXES[:2], k), strict=True):
        wanted = nearest(ChunkTable(store, TABLE, release.tag), query, k, ["id"], None).to_pylist()
        assert [(hit.chunk, hit.score) for hit in hits] == [(r["id"], round(1 - r["_distance"], 6)) for r in wanted]


def indexed(store: Store, count: int = 400) -> np.ndarray:
    """A release of random vectors with an index that is searched with the least effort."""
    vectors = np.random.default_rng(0).normal(size=(count, DIMENSION)).astype(np.float32)
    publish(store, {f"{number}": vector for number, vector in enumerate(vectors)})
    build(store, TABLE, unit(vectors[:16]))
    tables = {name: store.open(name).version for name in ("documents", TABLE)}
    facts = IndexFacts("IVF_RQ", count, nprobes=1, refine_factor=1, partitions=16)
    Releases(store).publish(1, drafted(tables, space=SPACE, run="r1", index=facts))
    return vectors


def test_the_index_is_searched_as_the_release_says_and_left_aside_where_asked(store: Store) -> None:
    vectors = indexed(store)
    reader = Reader.open(store.uri)
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    wanted = [[str(n) for n in np.argsort(-(units @ query), kind="stable")[:10]] for query in units[:20]]
    assert names(reader.search(units[:20], 10, exact=True)) == wanted
    quick = names(reader.search(units[:20], 10))
    assert quick != wanted
    table = ChunkTable(store, TABLE, reader.release.tag)
    by_pylance = [nearest(table, query, 10, ["document"], reader.release.text.index) for query in units[:20]]
    assert quick == [found["document"].to_pylist() for found in by_pylance]


def test_a_filter_is_applied_before_the_search_also_by_the_index(store: Store) -> None:
    indexed(store)
    reader = Reader.open(store.uri)
    few = ["3", "77", "399"]
    for exact in (True, False):
        [hits] = reader.search(AXES[:1], 3, where={"source": "notes", "document": few}, exact=exact)
        assert sorted(hit.document for hit in hits) == sorted(few)
    assert reader.search(AXES[:1], 3, where={"source": "other"}) == [[]]
    assert names(reader.search(AXES[:1], 9, where={"key": document_key("notes", "77")})) == [["77"]]


def test_a_column_that_cannot_be_filtered_is_named(store: Store) -> None:
    publish(store, {"a": AXES[0]})
    with pytest.raises(InputError, match="there is no column 'text' to filter"):
        Reader.open(store.uri).search(AXES[:1], where={"text": "a"})


QUOTED = ["' OR true --", "it's", 'q"q', "a\\", "%", "_", "`id`", "$1", "?", ""]
ODD = ["a", "\x00", "a\x00b", "\u2028", "é", "e\u0301", "🌊"]
NAMES = st.lists(st.sampled_from([*QUOTED, *ODD]) | st.text(max_size=8), min_size=1, max_size=8, unique=True)


@settings(max_examples=40, deadline=None)
@given(held=NAMES, asked=NAMES)
def test_a_filter_lets_exactly_the_asked_values_pass_whatever_is_in_them(
    tmp_path_factory: pytest.TempPathFactory, held: list[str], asked: list[str]
) -> None:
    store = Store(tmp_path_factory.mktemp("store"))
    publish(store, dict.fromkeys(held, AXES[0]))
    [hits] = Reader.open(store.uri).search(AXES[:1], 20, where={"document": [*asked, *held[:1]]})
    assert {hit.document for hit in hits} == set(held) & {*asked, *held[:1]}


def test_a_hit_says_where_it_stands(store: Store) -> None:
    publish(store, {"tide": AXES[0]})
    [[hit]] = Reader.open(store.uri).search(AXES[:1])
    assert (hit.span, hit.span.of("tide table")) == (Span(0, 4), "tide")


def test_a_ranking_by_vectors_is_that_of_a_search(store: Store) -> None:
    vectors = indexed(store)
    reader = Reader.open(store.uri)
    for exact in (True, False):
        found = reader.dense(vectors[:5], 4, exact=exact)
        hits = [hit for hits in reader.search(vectors[:5], 4, exact=exact) for hit in hits]
        assert found.schema == RANKED
        assert found["query"].to_list() == [number for number in range(5) for _ in range(4)]
        assert [*found.select("id", "source", "document", "score").iter_rows()] == [
            (hit.chunk, hit.source, hit.document, hit.score) for hit in hits
        ]
    few = reader.dense(AXES[:2], 9, {"document": "77"})
    assert [*few.select("query", "key").iter_rows()] == [(0, document_key("notes", "77")), (1, few["key"][0])]


def written(store: Store, *texts: str, tokenizer: str = "icu/split") -> Reader:
    """A release of these texts with a full-text index."""
    publish(store, dict.fromkeys(texts, AXES[0]))
    build_text(store, TABLE, tokenizer)
    tables = {name: store.open(name).version for name in ("documents", TABLE)}
    releases = Releases(store)
    releases.publish(releases.get().seq, drafted(tables, space=SPACE, run="r1", index=IndexFacts(text=tokenizer)))
    return Reader.open(store.uri)


def matching(reader: Reader, *texts: str) -> list[list[str]]:
    """Documents found by words, a list a text."""
    found = reader.words(texts, 10)
    return [found.filter(query=number)["document"].to_list() for number in range(len(texts))]


def test_words_are_found_stemmed_without_accents_and_in_languages_without_spaces(store: Store) -> None:
    reader = written(
        store, "the pilots are running late", "a late tide", "Été à la mer", "東京の港は静か", "call os.path"
    )
    assert matching(reader, "pilot run", "ETE", "東京", "path", "the", "") == [
        ["the pilots are running late"],
        ["Été à la mer"],
        ["東京の港は静か"],
        ["call os.path"],
        [],
        [],
    ]
    found = reader.words(["late pilot", "tide"], 10, {"source": "notes"})
    assert found.schema == RANKED
    assert [*found.select("query", "document").iter_rows()] == [
        (0, "the pilots are running late"),
        (0, "a late tide"),
        (1, "a late tide"),
    ]
    assert (found["score"] > 0).all()
    assert reader.words(["late"], 10, {"document": "a late tide"})["document"].to_list() == ["a late tide"]
    assert reader.words(["late"], 10, {"source": "logs"}).is_empty()
    assert reader.words([], 10).schema == RANKED


def test_of_equal_scores_the_smaller_id_comes_first(store: Store) -> None:
    found = written(store, *(f"tide {number}" for number in range(9))).words(["tide"], 20)
    assert found["id"].to_list() == sorted(found["id"])


@pytest.mark.parametrize(
    "text",
    [
        '"tide',
        "tide AND NOT tide",
        "+tide -tide",
        "tide* (",
        "text:tide^9",
        "\x00tide\x00",
        "' OR 1 -- tide",
        "\ud83ctide",
    ],
)
def test_a_query_is_words_whatever_stands_around_them(store: Store, text: str) -> None:
    assert "the tide" in matching(written(store, "the tide", "moon"), text)[0]


TEXTS = st.text(max_size=40) | st.sampled_from(["tide " * 2_000, "t" * 10_000, "\x00", "(((", "^~*?\\/[]{}", "\ud800"])


def test_no_text_does_harm(tmp_path: Path) -> None:
    reader = written(Store(tmp_path / "store"), "the tide", "moon over the reef")

    @settings(max_examples=60, deadline=None)
    @given(TEXTS)
    def harmless(text: str) -> None:
        assert set(matching(reader, text)[0]) <= {"the tide", "moon over the reef"}

    harmless()


def test_a_release_without_a_full_text_index_says_what_to_do(store: Store) -> None:
    publish(store, {"a": AXES[0]})
    with pytest.raises(InputError, match=r"release 1 has no full-text index: the next `tidemark refresh`"):
        Reader.open(store.uri).words(["a"], 1)


def test_a_release_answers_by_words_as_it_did_whatever_comes_after_it(store: Store) -> None:
    reader = written(store, *(f"tide {number}" for number in range(20)), "moon")
    asked = ["tide 3", "moon", "tide"]
    before = reader.words(asked, 50)
    chunk_rows.delete(store, TABLE, ids=[digest(f"tide {number}") for number in range(15)])
    store.open(TABLE).optimize.compact_files()
    build_text(store, TABLE, "simple")
    store.vacuum(TABLE, timedelta(0))
    assert reader.words(asked, 50).equals(before)
    assert Reader.open(store.uri, reader.release.seq).words(asked, 50).equals(before)


def test_ranked_chunks_become_hits_in_their_order_with_their_scores(store: Store) -> None:
    reader = written(store, "the tide", "moon", "reef")
    ids = [digest("reef"), digest("the tide"), digest("reef")]
    ranked = pl.DataFrame({"query": [0, 0, 2], "id": ids, "score": [0.75, 0.5, 0.25]})
    found = [[(hit.text, hit.score, hit.title) for hit in hits] for hits in reader.hits(ranked, 3)]
    assert found == [[("reef", 0.75, "A title"), ("the tide", 0.5, "A title")], [], [("reef", 0.25, "A title")]]
    assert reader.hits(ranked.clear(), 1) == [[]]
