"""A cross-encoder out of the pairs of a release, and one that is named: both are tried like any re-ranker."""

from __future__ import annotations

from pathlib import Path
from random import Random

import polars as pl
import pytest
from corpus import configure, context

from flows.refresh import refresh
from models.encoder import resolve
from models.errors import ModelError
from models.rerank.base import identify, open_reranker
from models.rerank.train_cross import cross_recipe
from storage.registry import Registry
from storage.tables.models import Models
from storage.tables.releases import Releases
from tasks.learn.config import PairsConfig, QualityConfig
from tasks.learn.cross import CROSS, train_on_pairs
from tasks.learn.pair import pair
from tasks.learn.questions import JUDGEMENTS, QUESTIONS, QuestionSet
from tasks.learn.rerank import adopt_crosses, keep_reranker, rerank
from tasks.learn.train import cross_folders, trainings

WORDS = ("tide", "moon", "sea", "harbour", "current", "wave", "shore", "chart", "pilot", "wind", "swell", "reef", "ebb")
NAMES = [f"{'abcdefgh'[number % 8]}/{number}.md" for number in range(40)]


def page(name: str) -> str:
    random = Random(name)
    body = " ".join(f"{random.choice(WORDS)}{random.randrange(40)}" for _ in range(40))
    return f"# The big page of {name}\n\n{body}\n\n## How to read chart {name}\n\n{body[::-1]}\n"


def asked(split: str, names: list[str]) -> QuestionSet:
    questions = pl.DataFrame([(name, f"How to read chart {name}") for name in names], schema=QUESTIONS, orient="row")
    judged = pl.DataFrame([(name, "notes", name, 1) for name in names], schema=JUDGEMENTS, orient="row")
    return QuestionSet("names", split, "target", "notes", questions, judged)  # type: ignore[arg-type]


def test_one_is_trained_adopted_tried_and_kept(tmp_path: Path, tiny_model: Path) -> None:
    texts = {name: page(name) for name in NAMES}
    config = configure(tmp_path, texts, encoder={"name": str(tiny_model)}, chunker={})
    refresh(config)
    encoder, quality = resolve(tiny_model), QualityConfig(max_rerank_ms=10_000, min_gain=-1)
    with context(config) as run:
        release = Releases(run.store).get()
        pairs = pair(run, release, PairsConfig(), base=config.base)
        recipe = cross_recipe(steps=2, batch=4, max_tokens=32)
        dev, test = [asked("dev", NAMES[:8])], [asked("test", NAMES[8:16])]
        slow = train_on_pairs(run, release, encoder, pairs.version, recipe, QualityConfig(max_rerank_ms=1e-6), dev)
        assert slow.refused is not None and slow.folders == {} and not trainings(run.store).exists()
        assert slow.refused.reason.startswith("too slow, so it was not trained: ")
        assert slow.refused.verdict == "refused" and slow.refused.milliseconds > 0
        made = train_on_pairs(run, release, encoder, pairs.version, recipe, quality, dev)
        assert made.refused is None and made.counts["steps"] == 2
        again = train_on_pairs(run, release, encoder, pairs.version, recipe, quality, dev)
        assert again == made and cross_folders(run.store) == [made.folders[CROSS].parent]
        made.folders[CROSS].rename(tmp_path / "bought")
        named = adopt_crosses(run, ["fusion", "cross", "bought"], tmp_path)
        assert list(named) == ["bought"]
        assert identify(named["bought"]) == identify(tmp_path / "bought")
        found = rerank(run, release, encoder.open(), dev, test, ["bought"], quality, named)
        assert [row.kind for row in found.rows] == ["bought"] and found.counts["tried"] == 1
        assert found.rows[0].questions == 8 and found.rows[0].milliseconds > 0
        assert rerank(run, release, encoder.open(), [], test, ["late"], quality).trials == ()
        both = rerank(run, release, encoder.open(), dev, test, ["late", "fusion"], QualityConfig(max_rerank_ms=1e-9))
        assert [row.kind for row in both.rows] == ["late interaction", "fusion of words", "fusion"]
        assert both.chosen is None and both.role is None
        none = train_on_pairs(run, release, encoder, pairs.version, recipe, quality, pairs=0)  # told, not failed
        assert none.refused is not None and "mine negatives before training" in none.refused.reason
        with pytest.raises(RuntimeError, match="no re-ranker is to be published"):
            keep_reranker(run, both)
        with pytest.raises(ModelError, match=r"learning.rerankers: .*is a dual encoder"):
            adopt_crosses(run, [str(tiny_model)], tmp_path)
        best = max(both.trials, key=lambda trial: trial.row.gain)
        assert best.folder is not None and open_reranker(best.folder, encoder.open).name
        assert Models(run.store).all() == [] and release.space in Registry(run.store).spaces()
