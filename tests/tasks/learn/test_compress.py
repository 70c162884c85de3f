"""Smaller vectors are judged against float32 on the same questions."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from corpus import configure, prose

from flows.refresh import refresh
from models.config import EncoderConfig
from models.encoder import resolve
from storage.reader import Reader
from tasks.learn.compress import Pool, compare, pool_of
from tasks.learn.config import QualityConfig
from tasks.learn.questions import JUDGEMENTS, QUESTIONS, QuestionSet

WIDTH = 64


def pool(noise: float, telling: int = 8) -> Pool:
    """300 vectors that a few directions tell apart, and questions beside some of them."""
    random = np.random.default_rng(5)
    flat = random.normal(size=(300, telling)) @ random.normal(size=(telling, WIDTH))
    asked = flat[:80] + noise * random.normal(size=(80, WIDTH))
    vectors, queries = ((x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32) for x in (flat, asked))
    contents = np.array([str(number) for number in range(300)], dtype=object)
    return Pool(vectors, contents, queries, [{str(number): 1} for number in range(80)])


def test_each_kind_tells_its_bytes_and_what_it_loses() -> None:
    rows = {row.kind: row for row in compare(pool(0.5), QualityConfig(), (8, 2))}
    sizes = {kind: row.bytes for kind, row in rows.items()}
    assert sizes == {
        "float32": 256,
        "float16": 128,
        "int8": 64,
        "binary, again as int8": 72,
        "binary, again as signs": 8,
        "svd 8": 32,
        "svd 2": 8,
    }
    assert rows["float32"].change == rows["float32"].low == 0 and rows["float32"].ndcg > 0.8
    assert {kind for kind, row in rows.items() if row.verdict == "holds"} >= {"float32", "float16", "svd 8"}
    bad = rows["svd 2"]
    assert (
        bad.verdict == "refused" and bad.change < -0.1 and bad.ndcg == pytest.approx(rows["float32"].ndcg + bad.change)
    )
    assert bad.reason.endswith("quality.max_compression_loss allows 0.005, and it may lose more")
    assert all(row.milliseconds > 0 for row in rows.values())


def test_directions_can_be_found_in_other_vectors() -> None:
    asked = pool(0.5)
    own = {row.kind: row.ndcg for row in compare(asked, QualityConfig(), (8,))}
    other = {row.kind: row.ndcg for row in compare(asked, QualityConfig(), (8,), np.eye(WIDTH, dtype=np.float32))}
    assert own["svd 8"] > other["svd 8"]
    assert own["int8"] == other["int8"]


def test_a_release_is_the_pool(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    for name in ("anchor", "buoy"):
        (tmp_path / "notes" / f"{name}.md").write_text(prose(name))
    config = configure(tmp_path)
    refresh(config)
    reader = Reader.open(config.store.uri)
    questions = pl.DataFrame([("q", "The buoy of row 0")], schema=QUESTIONS, orient="row")
    judgements = pl.DataFrame([("q", "notes", "buoy.md", 1)], schema=JUDGEMENTS, orient="row")
    asked = QuestionSet("s", "test", "target", "notes", questions, judgements)
    found = pool_of(reader, resolve(EncoderConfig(name="stub")).open(), asked)
    assert len(found.vectors) == len(found.contents) == reader.release.counts["chunks"]
    assert compare(found, QualityConfig())[0].ndcg == 1
