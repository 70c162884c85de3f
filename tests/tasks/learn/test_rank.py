"""Rankings through an index and by words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from shelf import Paper, asked, read, shelve, stub

from storage.reader import Reader
from storage.tables.chunks import ChunkTable
from storage.tables.index import build
from storage.tables.roles import IndexFacts
from storage.tables.store import Store
from tasks.build.centres import centres
from tasks.learn import rank
from tasks.learn.evaluate import Measured, measure
from tasks.learn.nearest import NONE, Asked, Ranking, nearest_documents
from tasks.learn.rank import through_index, through_words
from tasks.learn.subject import Catalogue, Subject

WORDS = IndexFacts(text="simple")


def best(found: Ranking) -> list[list[int]]:
    return [[int(number) for number in row if number != NONE] for row in found.documents]


@pytest.fixture
def indexed(tmp_path: Path) -> Path:
    papers = [Paper(f"d{n}", [f"item{n} word{n % 7}", f"more of item{n}"]) for n in range(400)]
    facts = IndexFacts("IVF_RQ", 800, nprobes=4, refine_factor=4)
    release = shelve(tmp_path, papers)
    store = Store(tmp_path)
    build(store, release.chunks, centres(ChunkTable(store, release.chunks), 4))
    from drafts import drafted

    from storage.tables.releases import Releases

    tables = {name: store.open(name).version for name in release.tables}
    Releases(store).publish(1, drafted(tables, space=release.space, index=facts))
    return tmp_path


def test_the_index_is_asked_as_readers_ask_it_and_exactly_beside(indexed: Path) -> None:
    subject = read(indexed)
    catalogue = Catalogue(subject.documents)
    queries = stub().encode_queries([f"item{n}" for n in range(20)])
    pool = catalogue.pool(None)
    (exact,) = nearest_documents(subject.chunks, catalogue.keys, [Asked(queries, 10, pool)])
    found = through_index(subject, catalogue, queries, pool)
    assert (found.documents[:, 0] == exact.documents[:, 0]).mean() >= 0.9
    assert [len(set(row)) for row in best(found)] == [100] * 20
    alone = through_index(subject, catalogue, queries, pool, source="notes")
    assert (alone.documents[:, 0] == exact.documents[:, 0]).mean() >= 0.9
    nothing = through_index(subject, catalogue, queries, np.zeros_like(pool), source="elsewhere")
    assert best(nothing) == [[]] * 20
    (told,) = measure(subject, stub(), [asked({f"item{n}": {f"d{n}": 1} for n in range(20)})], what=Measured()).sets
    assert told.exact is not None and told.exact is not told.modes["dense"]
    (plain,) = measure(subject, stub(), [asked({"item3": {"d3": 1}})], what=Measured(index=False, parts=False)).sets
    assert plain.exact is plain.modes["dense"]


def test_words_find_documents_of_the_pool_alone(tmp_path: Path) -> None:
    shelve(tmp_path, [Paper("a", ["tide and moon", "tide"]), Paper("b", ["tide"], source="other")], WORDS)
    subject = read(tmp_path)
    catalogue = Catalogue(subject.documents)
    pool = catalogue.pool("notes")
    found = through_words(subject, catalogue, ["tide", "sun"], pool)
    assert best(found) == [[0], []]
    assert best(through_words(subject, catalogue, [], pool)) == []


def test_questions_are_ranked_some_at_a_time_and_keep_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelve(tmp_path, [Paper(f"d{n}", [f"item{n} of the tide"]) for n in range(9)], WORDS)
    subject = read(tmp_path)
    catalogue, texts = Catalogue(subject.documents), [f"item{n}" for n in range(7)]
    pool = catalogue.pool(None)
    whole = through_words(subject, catalogue, texts, pool)
    monkeypatch.setattr(rank, "_BATCH", 3)
    parts = through_words(subject, catalogue, texts, pool)
    assert np.array_equal(whole.documents, parts.documents) and np.array_equal(whole.scores, parts.scores)
    assert parts.documents[:, 0].tolist() == list(range(7))


def test_what_is_not_published_yet_is_searched_by_words_as_readers_search_it_later(tmp_path: Path) -> None:
    release = shelve(tmp_path, [Paper("a", ["tide and moon", "tide"]), Paper("b", ["moon"])], WORDS)
    drafted, asked_ = Subject.drafted(Store(tmp_path), release.tables, release.text), ["tide", "moon", "the"]
    found = Reader.open(str(tmp_path)).words(asked_, 5).select("query", "id", "key", "score")
    assert drafted.words(asked_, 5).equals(found)
    assert drafted.words(asked_, 5).equals(read(tmp_path).words(asked_, 5))
    assert found.height == 4
