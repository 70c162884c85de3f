"""The pool in memory: what it holds, how it ranks, and which challenger goes on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tiny import docstrings

from models.encoder import resolve
from tasks.learn.pool import CHAMPION, Pool, best, choose, pool_scores
from tasks.learn.train import Challenger
from tasks.progress import Silent


def pairs(*rows: tuple[str, str, str]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["question", "content_hash", "passage"], orient="row")


def test_a_pool_of_pairs_holds_what_answers_first_and_no_distractor_of_the_same_content() -> None:
    asked = pairs(("q1", "b", "text of b"), ("q2", "a", "text of a"), ("q1", "a", "text of a"))
    others = pairs(("x", "a", "another passage of a"), ("y", "d", "text of d"), ("z", "c", "text of c"))
    pool = Pool.of_pairs(asked, others, 3)
    assert pool.questions == ("q1", "q2")
    assert [dict(grades) for grades in pool.relevant] == [{"b": 1, "a": 1}, {"a": 1}]
    assert pool.passages["content"].to_list() == ["b", "a", "c"]
    assert pool.answers == 2
    assert Pool.of_pairs(asked, others, 1).passages["content"].to_list() == ["b", "a"]  # answers are never left out


def test_the_looks_of_training_ask_only_what_their_part_of_the_pool_answers() -> None:
    pool = Pool.of_pairs(pairs(("q1", "b", "text of b"), ("q2", "a", "text of a")), pairs(("x", "c", "text of c")), 9)
    looks = pool.looks()
    assert looks is not None
    assert looks.passages == ("text of b", "text of a", "text of c")
    assert looks.relevant == ((0,), (1,))
    assert Pool().looks() is None


def test_scores_are_those_of_an_exact_search(tiny_model: Path) -> None:
    texts = docstrings()[:12]
    rows = pairs(*((" ".join(text.split()[:8]), str(number), text) for number, text in enumerate(texts)))
    encoder = resolve(tiny_model).open()
    pool = Pool.of_pairs(rows, rows.clear(), 12)
    found = pool_scores(pool, encoder)
    scores = encoder.encode_queries(list(pool.questions)) @ encoder.encode_documents(pool.passages["text"].to_list()).T
    places = (scores > np.diag(scores)[:, None] + 1e-6).sum(axis=1)
    np.testing.assert_allclose(found, np.where(places < 10, 1 / np.log2(places + 2), 0), atol=1e-9)


@pytest.mark.parametrize(("tuned", "wanted"), [(0.71, "averaged"), (0.705, "averaged"), (0.72, "tuned")])
def test_the_one_that_forgets_least_goes_on_unless_another_is_better_by_the_margin(tuned: float, wanted: str) -> None:
    scores = {"averaged": np.full(4, 0.701), "tuned": np.full(4, tuned)}
    assert best(scores, "averaged", 0.01) == wanted


def test_a_challenger_that_is_no_better_than_the_champion_goes_no_further(tiny_model: Path) -> None:
    texts = docstrings()[:20]
    rows = pairs(*((" ".join(text.split()[:8]), str(number), text) for number, text in enumerate(texts)))
    champion, same = resolve(tiny_model), Challenger("averaged", resolve(tiny_model))
    pool = Pool.of_pairs(rows, rows.clear(), 20)
    refused = choose(pool, champion, [same], 0.01, Silent())
    assert refused.means["averaged"] == refused.means[CHAMPION]
    assert "nothing was learned that helps" in refused.reasons[0]
    unasked = choose(Pool(), champion, [same], 0.01, Silent())
    assert (unasked.name, unasked.questions, unasked.reasons) == ("averaged", 0, ())
