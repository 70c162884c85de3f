"""A model is checked before it is kept, and what is exported loads as it is and gives the same vectors."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny import nudge

from models.config import EncoderConfig
from models.encoder import resolve
from models.errors import DamagedModel, ModelError
from models.probe import probe
from storage.errors import InputError
from storage.registry import Registry
from storage.spill import Workspace
from storage.tables.models import ModelRecord, Models
from storage.tables.store import Store
from tasks.release.model import bring_in, card, keep_model, write_out


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def workspace(store: Store) -> Iterator[Workspace]:
    made = Workspace(store, "r1")
    yield made
    made.close()


def test_a_model_is_kept_with_its_card_and_gets_its_metrics_later(
    store: Store, workspace: Workspace, tiny_model: Path
) -> None:
    model = resolve(tiny_model)
    space, registry = model.space.id, Registry(store)
    record = ModelRecord(space=space, name="better", parent="a" * 32, run="r1", licence="MIT", recipe={"minutes": 4})
    kept = keep_model(store, workspace, model, record)
    assert (kept.bytes, kept.digests) == (registry.size(space), registry.digests(space))
    assert {"model.safetensors", "tokenizer.json", "probe.npy"} <= kept.digests.keys()
    assert resolve(registry.fetch(space)).space.name == "better"
    measured = keep_model(store, workspace, model, replace(kept, metrics={"ndcg@10": 0.725}))
    text = (registry.fetch(space) / "README.md").read_text()
    assert text == card(measured)
    assert all(part in text for part in ('license: "MIT"', "# better", '"ndcg@10": 0.725', '"minutes": 4', "a" * 32))
    assert registry.damage(space) == []  # the card may change, the model may not
    assert Models(store).find(space) == measured


def test_an_exported_model_loads_in_sentence_transformers_and_gives_the_same_vectors(
    store: Store, workspace: Workspace, tiny_model: Path, tmp_path: Path
) -> None:
    from sentence_transformers import SentenceTransformer

    kept = bring_in(store, workspace, tiny_model, "mine", "r1")
    write_out(store, kept.space, tmp_path / "out")
    assert (tmp_path / "out" / "README.md").read_text().startswith("---\nlibrary_name: sentence-transformers")
    texts = ["the tide mark", "a harbour pilot"]
    loaded = SentenceTransformer(str(tmp_path / "out"), device="cpu").encode(texts, normalize_embeddings=True)
    ours = resolve(EncoderConfig(name=str(tmp_path / "out"))).open()
    np.testing.assert_allclose(loaded, ours.encode_documents(texts), atol=1e-5)
    np.testing.assert_array_equal(probe(ours), np.load(Registry(store).fetch(kept.space) / "probe.npy"))
    with pytest.raises(ModelError, match="is not empty"):
        write_out(store, kept.space, tmp_path / "out")
    again = bring_in(store, workspace, tmp_path / "out", None, "r2")
    assert (again.space, again.name, again.run) == (kept.space, "mine", "r1")


@pytest.mark.parametrize("name", ["optimizer.pt", "pytorch_model.bin", "deep/state.pkl", "rng_state.pth"])
def test_a_folder_with_pickles_is_refused_by_their_names(
    store: Store, workspace: Workspace, tiny_model: Path, tmp_path: Path, name: str
) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"\x80\x04.")
    with pytest.raises(InputError, match=f"holds {name}: pickles"):
        bring_in(store, workspace, folder, None, "r1")
    with pytest.raises(InputError, match=f"holds {name}: pickles"):
        Registry(store).keep("a" * 32, folder)
    assert (Registry(store).spaces(), Models(store).all()) == ([], [])


def test_what_is_no_encoder_is_refused(store: Store, workspace: Workspace, tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such folder"):
        bring_in(store, workspace, tmp_path / "nowhere", None, "r1")
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    nudge(folder, float("nan"))
    with pytest.raises(RuntimeError, match="not finite"):
        bring_in(store, workspace, folder, None, "r1")
    (folder / "model.safetensors").unlink()
    with pytest.raises(DamagedModel, match=r"has no model\.safetensors"):
        bring_in(store, workspace, folder, None, "r1")
    assert (Registry(store).spaces(), Models(store).all()) == ([], [])


def test_a_kept_model_that_was_changed_is_not_exported(
    store: Store, workspace: Workspace, tiny_model: Path, tmp_path: Path
) -> None:
    kept = bring_in(store, workspace, tiny_model, None, "r1")
    nudge(Registry(store).fetch(kept.space))
    with pytest.raises(DamagedModel, match="its files were changed"):
        write_out(store, kept.space, tmp_path / "out")
