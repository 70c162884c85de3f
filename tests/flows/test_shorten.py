"""Shorter vectors: mapped without encoding a text, judged, published as a space of their own, and undone."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpus import configure, context, found, night, prose, rows, save

from flows.audit import audit
from flows.config.schema import Config
from flows.reembed import reembed
from flows.refresh import refresh
from flows.rollback import rollback
from models.compress import fit_svd, map_vectors
from models.encoder import resolve
from models.errors import ModelError
from storage.errors import InputError
from storage.registry import Registry
from storage.tables.models import Models
from storage.tables.releases import Release, Releases
from storage.tables.store import Store
from tasks.build.shorten import shorten

NAMES = ("anchor", "buoy", "chart", "dock", "ebb", "flood", "gale", "hull")
SETS = [{"name": "terms", "path": "judged", "source": "notes"}]


def judged(base: Path, model: Path, loss: float = 1.0, **sections: Any) -> Config:
    given = {"encoder": {"name": str(model)}, "evaluation": SETS, "quality": {"max_compression_loss": loss}}
    return configure(base, **given | sections)


def current(config: Config) -> Release:
    return Releases(Store(config.store.uri)).get()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A store with one release, and a question for each of its notes."""
    base = tmp_path_factory.mktemp("shorter")
    (base / "judged" / "qrels").mkdir(parents=True)
    queries = [json.dumps({"_id": name, "text": f"The {name} of row 1"}) for name in NAMES]
    (base / "judged" / "queries.jsonl").write_text("\n".join(queries))
    lines = "".join(f"{name}\t{name}.md\t1\n" for name in NAMES)
    (base / "judged" / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + lines)
    save(base / "notes", {f"{name}.md": prose(name) for name in NAMES})
    refresh(judged(base, tiny_model))
    return base


@pytest.fixture
def base(whole: Path, tmp_path: Path) -> Path:
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_vectors_are_mapped_and_nights_go_on_with_the_shorter_encoder(base: Path, tiny_model: Path) -> None:
    config = judged(base, tiny_model)
    first, before = current(config), rows(config)
    result = reembed(config, dimensions=16)
    second = current(config)
    assert (result.outcome, result.release, result.counts["embedded"]) == ("published", 2, 0)
    assert (second.text.encoder.dimension, second.text.encoder.parent) == (16, first.space)
    assert "64 instead of 128 bytes a vector" in result.message and "over 8 questions" in result.message
    old = np.array([row["vector"] for row in before], dtype=np.float32)
    new = np.array([row["vector"] for row in rows(config)], dtype=np.float32)
    np.testing.assert_allclose(new, map_vectors(old, fit_svd([old], 16)), atol=1e-5)
    opened = resolve(Registry(Store(config.store.uri)).fetch(second.space)).open()
    np.testing.assert_allclose(opened.encode_documents([row["text"] for row in before]), new, atol=1e-5)
    record = Models(Store(config.store.uri)).find(second.space)
    assert record is not None and record.parent == first.space
    assert record.recipe["dimensions"] == 16 and record.metrics["bytes"] == [128, 64]
    assert audit(config, deep=True).failed == []
    assert reembed(config, dimensions=16).outcome == "unchanged"
    assert night(config).outcome == "unchanged"
    save(base / "notes", {"new.md": prose("mast")})
    later = night(config)
    assert (later.outcome, later.space, later.causes) == ("published", second.space, {"new": 1})
    own = next(row["text"] for row in rows(config) if row["document"] == "new.md")
    assert found(config, own, 1)[0].score == pytest.approx(1, abs=1e-5)
    assert rollback(config, 1).release == 4
    assert current(config).space == first.space


def test_what_loses_too_much_is_refused_with_its_figures(base: Path, tiny_model: Path) -> None:
    config = judged(base, tiny_model, loss=0.0)
    result = reembed(config, dimensions=1)
    assert (result.outcome, result.release) == ("refused", 1)
    assert result.message.startswith("4 instead of 128 bytes a vector")
    assert result.message.endswith("quality.max_compression_loss allows 0, and they may lose more")
    assert current(config).text.encoder.dimension == 32


def test_a_killed_run_goes_on_with_what_was_mapped(base: Path, tiny_model: Path) -> None:
    config = judged(base, tiny_model)
    with context(config) as run:
        assert run.base is not None
        first, again = (shorten(run, run.base, resolve(tiny_model), size) for size in (16, 16) if _emptied(run, size))
    assert (first.mapped > 0, again.mapped) == (True, 0)
    assert first.encoder.space == again.encoder.space
    assert reembed(config, dimensions=16).space == first.encoder.space.id


def _emptied(run: Any, size: int) -> bool:
    """The work folder of another run does not have the folder of the encoder yet."""
    shutil.rmtree(run.workspace.folder / f"short-{size}", ignore_errors=True)
    return True


def test_wrong_input_is_told(base: Path, tiny_model: Path) -> None:
    config = judged(base, tiny_model)
    with pytest.raises(InputError, match="give it or --encoder, not both"):
        reembed(config, encoder="stub", dimensions=4)
    with pytest.raises(InputError, match="no target set has test questions"):
        reembed(judged(base, tiny_model, evaluation=[]), dimensions=4)
    with pytest.raises(ModelError, match="64 dimensions: vectors of 32 can be shortened to 1 to 31"):
        reembed(config, dimensions=64)
    with context(config) as run, pytest.raises(ModelError, match="is a stub"):
        assert run.base is not None
        shorten(replace(run), run.base, resolve(config.encoder.model_copy(update={"name": "stub"})), 4)
