"""The nearest documents, held against a comparison of everything with everything."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shelf import Paper, read, shelve, stub

from tasks.learn.nearest import NONE, Asked, nearest_documents
from tasks.learn.subject import Catalogue


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 60), st.integers(1, 25), st.integers(1, 9), st.integers(1, 40))
def test_slices_find_what_one_comparison_of_all_finds(
    seed: int, rows: int, documents: int, depth: int, slice_rows: int
) -> None:
    draws = np.random.default_rng(seed)
    vectors = draws.normal(size=(rows, 6)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    queries = vectors[draws.integers(0, rows, 5)] + draws.normal(size=(5, 6)).astype(np.float32) / 2
    owners = draws.integers(0, documents, rows).astype(np.int32)
    pool = draws.random(documents) < 0.7
    asked = Asked(queries, depth, pool)
    for at in range(0, rows, slice_rows):
        order = np.argsort(owners[at : at + slice_rows], kind="stable")
        asked.offer(vectors[at : at + slice_rows][order], owners[at : at + slice_rows][order])
    found = asked.ranking()
    scores = np.full((5, documents), -np.inf)
    np.maximum.at(scores.T, owners, (queries @ vectors.T).T)
    scores[:, ~pool] = -np.inf
    for question in range(5):
        best = np.sort(scores[question])[::-1][:depth]
        best = best[np.isfinite(best)]
        named = found.documents[question][found.documents[question] != NONE]
        assert len(set(named.tolist())) == len(named) == len(best)
        assert found.scores[question][: len(best)] == pytest.approx(best, abs=2e-6)
        assert scores[question][named] == pytest.approx(best, abs=2e-6)


def test_a_document_is_as_near_as_its_nearest_chunk_and_pools_are_searched_together(tmp_path: Path) -> None:
    papers = [
        Paper("a", ["tide tables of the harbour", "nothing of interest here"]),
        Paper("b", ["harbour"], source="other"),
        Paper("c", ["moon phases"]),
    ]
    shelve(tmp_path, papers)
    subject = read(tmp_path)
    catalogue = Catalogue(subject.documents)
    queries = stub().encode_queries(["harbour", "moon phases"])
    every = Asked(queries, 2, catalogue.pool(None))
    own = Asked(queries, 2, catalogue.pool("notes"))
    first, second = nearest_documents(subject.chunks, catalogue.keys, [every, own])
    ids = catalogue.every["id"].to_list()
    assert [ids[number] for number in first.documents[:, 0]] == ["b", "c"]
    assert [ids[number] for number in second.documents[:, 0]] == ["a", "c"]
    assert first.scores[1, 0] == 1.0
    assert first.frame().height == 4


def test_an_empty_pool_finds_nothing(tmp_path: Path) -> None:
    shelve(tmp_path, [Paper("a", ["tide"])])
    subject = read(tmp_path)
    asked = Asked(stub().encode_queries(["tide"]), 3, np.zeros(1, dtype=np.bool_))
    (found,) = nearest_documents(subject.chunks, Catalogue(subject.documents).keys, [asked])
    assert (found.documents == NONE).all() and found.frame().is_empty()
