"""Search with a re-ranker: the best hits in another order, the rest below them, a release without one as before."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from corpus import configure, prose
from hypothesis import given
from hypothesis import strategies as st

from flows.config.schema import Config
from flows.refresh import refresh
from models.encoder import resolve
from models.rerank.base import Candidate, Scores
from models.rerank.fusion import LogisticFusion
from storage.errors import InputError
from storage.reader import Hit
from storage.registry import Registry
from storage.tables.releases import Draft, Releases
from storage.tables.roles import RERANKER, EncoderRecord, Role
from storage.tables.store import Store
from tasks.search.rerank import Reranking, reranking
from tasks.search.search import Search


class Given:
    """Scores that are given."""

    name = "given"
    sides = ()

    def __init__(self, scores: Sequence[float]) -> None:
        self.scores = scores

    def rerank(self, question: str, candidates: Sequence[Candidate]) -> Scores:
        return np.array(self.scores[: len(candidates)], dtype=np.float64)


def hits(count: int) -> list[Hit]:
    return [Hit(1 - at / 100, "d", "notes", None, f"text {at}", 0, 1, str(at)) for at in range(count)]


@given(st.lists(st.floats(-9, 9), max_size=12), st.integers(0, 6))
def test_no_hit_is_lost_and_what_lies_deeper_keeps_its_place(scores: list[float], deeper: int) -> None:
    before = hits(len(scores) + deeper)
    after = Reranking(Given(scores), depth=len(scores)).order("q", before)
    best = after[: len(scores)]
    assert sorted(hit.chunk for hit in after) == sorted(hit.chunk for hit in before)
    assert after[len(scores) :] == before[len(scores) :]
    assert [hit.score for hit in best] == sorted((hit.score for hit in best), reverse=True)


def test_equal_scores_keep_the_order_of_the_first_stage_and_the_time_is_told() -> None:
    reranking = Reranking(Given([0.0, 1.0, 1.0, 0.0]), depth=4)
    assert [hit.chunk for hit in reranking.order("q", hits(4))] == ["1", "2", "0", "3"]
    assert reranking.order("q", []) == [] and reranking.queries == 1 and reranking.milliseconds > 0


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    base = tmp_path_factory.mktemp("made")
    (base / "notes").mkdir()
    for name in ("anchor", "buoy", "chart"):
        (base / "notes" / f"{name}.md").write_text(prose(name))
    made = configure(base)
    refresh(made)
    store = Store(made.store.uri)
    # The worst first: an order that no first stage gives.
    serve(store, LogisticFusion({"dense": -1.0}, 0.0, {}), base / "upside-down")
    return made


def serve(store: Store, reranker: LogisticFusion, folder: Path) -> None:
    """Publish the current release once more, with a re-ranker."""
    identity = reranker.save(folder)
    Registry(store).keep(identity, folder)
    release = Releases(store).get()
    role = Role(identity, EncoderRecord(identity, folder.name, "reranker", parent=release.space))
    draft = Draft(run="r", tables=release.tables, roles={**release.roles, RERANKER: role})
    Releases(store).publish(release.seq, draft)


def test_a_release_with_a_reranker_uses_it_unless_told_not_to(config: Config) -> None:
    search, plain = Search(config.store.uri), Search(config.store.uri, rerank=False)
    [(_, ordered)], [(_, first)] = search.find(["buoy of row 1"], 3), plain.find(["buoy of row 1"], 20)
    assert [hit.chunk for hit in ordered] == [hit.chunk for hit in reversed(first)][:3]
    assert search.reranking is not None and search.reranking.queries == 1
    assert [*Search(config.store.uri, 1).find(["buoy of row 1"], 20)] == [("buoy of row 1", first)]


def test_only_the_sides_that_a_reranker_reads_are_asked(config: Config, tmp_path: Path) -> None:
    shutil.copytree(config.base / "store", tmp_path / "store")
    store = Store(tmp_path / "store")
    serve(store, LogisticFusion({"words": -1.0}, 0.0, {}), tmp_path / "few-words")
    shutil.rmtree(tmp_path / "store" / "models" / Releases(store).get().space)  # so that its encoder cannot be opened
    search, plain = (Search(store.uri, mode="text", rerank=rerank) for rerank in (True, False))
    [(_, ordered)], [(_, first)] = (each.find(["buoy of row 1"], 20, mode="text") for each in (search, plain))
    words = {hit.chunk: hit.score for hit in first}
    found = [words[hit.chunk] for hit in ordered]
    assert found == sorted(found) and found[0] < found[-1]  # the worst first, as it was told
    with pytest.raises(InputError, match="is not in models/"):
        next(search.find(["buoy of row 1"], 5, mode="dense"))
    both = Search(store.uri, 2, mode="text")  # this one reads what vectors say
    with pytest.raises(InputError, match="is not in models/"):
        next(both.find(["buoy of row 1"], 5, mode="text"))


def test_a_reranker_that_was_tried_beside_another_encoder_is_not_used(config: Config) -> None:
    store, release = Store(config.store.uri), Releases(Store(config.store.uri)).get()
    role = release.roles[RERANKER]
    beside = replace(role, encoder=replace(role.encoder, parent="e" * 32))
    encoder = resolve(Registry(store).fetch(release.space)).open()
    assert reranking(store, release, lambda: encoder) is not None
    assert reranking(store, replace(release, roles={**release.roles, RERANKER: beside}), lambda: encoder) is None


def test_a_reranker_that_the_store_lost_says_so(config: Config, tmp_path: Path) -> None:
    release = Releases(Store(config.store.uri)).get()
    lost = replace(release.roles[RERANKER], space="f" * 32)
    draft = Draft(run="r", tables=release.tables, roles={**release.roles, RERANKER: lost})
    Releases(Store(config.store.uri)).publish(release.seq, draft)
    with pytest.raises(InputError, match=f"the encoder of space {'f' * 32} is not in models/"):
        Search(config.store.uri)
