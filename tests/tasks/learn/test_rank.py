"""Rankings through an index, by words and by both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shelf import Paper, asked, read, shelve, stub, worded

from storage.tables.index import build
from storage.tables.roles import IndexFacts
from storage.tables.store import Store
from tasks.learn.evaluate import Measured, measure
from tasks.learn.nearest import NONE, Asked, Ranking, nearest_documents
from tasks.learn.rank import WEIGHTS, Fused, crossed, fitted, through_index, through_words
from tasks.learn.subject import Catalogue


def ranking(*rows: list[tuple[int, float]]) -> Ranking:
    depth = max(len(row) for row in rows)
    numbers = [[number for number, _ in row] + [NONE] * (depth - len(row)) for row in rows]
    scores = [[score for _, score in row] + [-np.inf] * (depth - len(row)) for row in rows]
    return Ranking(np.array(numbers, np.int32), np.array(scores, np.float32))


def best(found: Ranking) -> list[list[int]]:
    return [[int(number) for number in row if number != NONE] for row in found.documents]


def test_a_fused_ranking_weighs_what_each_side_scaled() -> None:
    dense = ranking([(1, 0.9), (2, 0.8), (3, 0.5)], [(1, 0.3)])
    text = ranking([(3, 12.0), (4, 2.0)], [(2, 5.0), (1, 1.0)])
    fused = Fused.of(dense, text)
    assert best(fused.ranking(0.0)) == [[1, 2, 3, 4], [1, 2]]
    assert best(fused.ranking(1.0)) == [[3, 1, 2, 4], [2, 1]]
    # Of equal scores the smaller number comes first: 1 has all of the vectors, 3 all of the words.
    assert best(fused.ranking(0.5)) == [[1, 3, 2, 4], [1, 2]]
    assert best(fused.ranking(0.6, depth=1)) == [[3], [2]]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 999), st.integers(1, 12))
def test_no_weight_is_judged_by_what_it_was_fitted_on(seed: int, questions: int) -> None:
    scores = np.random.default_rng(seed).random((len(WEIGHTS), questions))
    weights, mean = crossed(scores)
    odd = np.arange(questions) % 2 == 1
    assert set(weights[odd]) <= {fitted(scores[:, ~odd])}
    assert set(weights[~odd]) <= {fitted(scores[:, odd])}
    assert 0 <= mean <= 1


def test_of_equal_weights_the_smallest_is_taken_and_without_questions_none() -> None:
    assert fitted(np.ones((len(WEIGHTS), 4))) == 0.0
    assert fitted(np.empty((len(WEIGHTS), 0))) == 0.0


@pytest.fixture
def indexed(tmp_path: Path) -> Path:
    papers = [Paper(f"d{n}", [f"item{n} word{n % 7}", f"more of item{n}"]) for n in range(400)]
    facts = IndexFacts("IVF_RQ", 800, nprobes=4, refine_factor=4)
    release = shelve(tmp_path, papers)
    build(Store(tmp_path), release.chunks, 4)
    store = Store(tmp_path)
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
    (told,) = measure(subject, stub(), [asked({f"item{n}": {f"d{n}": 1} for n in range(20)})], what=Measured()).sets
    assert told.exact is not None and told.exact is not told.modes["dense"]
    (plain,) = measure(subject, stub(), [asked({"item3": {"d3": 1}})], what=Measured(index=False, parts=False)).sets
    assert plain.exact is plain.modes["dense"]


def test_words_find_documents_of_the_pool_alone(tmp_path: Path) -> None:
    shelve(tmp_path, [Paper("a", ["tide and moon", "tide"]), Paper("b", ["tide"], source="other")])
    subject = read(tmp_path)
    catalogue = Catalogue(subject.documents)
    pool = catalogue.pool("notes")
    assert through_words(subject, catalogue, ["tide"], pool) is None
    found = through_words(worded(subject), catalogue, ["tide", "sun"], pool)
    assert found is not None
    assert best(found) == [[0], []]
