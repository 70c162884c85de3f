"""Cross-encoders: trained from an encoder, adopted from a folder, and what would start with a random head refused."""

import json
import shutil
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file
from tiny import docstrings

from models.errors import DamagedModel, ModelError, UnknownModel
from models.rerank.base import Candidate, identify, open_reranker
from models.rerank.cross import adopt
from models.rerank.train_cross import CrossRecipe, Example, train_cross

TEXTS = [text[:120] for text in docstrings()]
EXAMPLES = [
    Example(text[:30], text, (TEXTS[(number + 5) % len(TEXTS)], TEXTS[(number + 9) % len(TEXTS)]))
    for number, text in enumerate(TEXTS)
]
RECIPE = CrossRecipe(steps=4, batch=8, window=64)
CANDIDATES = [Candidate(text) for text in TEXTS[:5]]


@pytest.fixture(scope="module")
def trained(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cross") / "trained"
    train_cross(tiny_model, EXAMPLES, RECIPE, folder)
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    return shutil.copytree(trained, tmp_path / "copy")


def change(folder: Path, **values: object) -> None:
    """Change what the configuration says."""
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | values))


def test_the_same_seed_trains_the_same_weights_and_another_seed_others(
    trained: Path, tiny_model: Path, tmp_path: Path
) -> None:
    told: list[tuple[int, int]] = []
    again = train_cross(
        tiny_model, EXAMPLES, RECIPE, tmp_path / "again", progress=lambda done, steps: told.append((done, steps))
    )
    assert told == [(step, RECIPE.steps) for step in range(1, RECIPE.steps + 1)]
    other = train_cross(tiny_model, EXAMPLES, CrossRecipe(steps=4, batch=8, window=64, seed=1), tmp_path / "other")
    assert again == identify(trained) != other


def test_a_trained_one_scores_and_is_adopted_as_the_same(trained: Path, tmp_path: Path) -> None:
    assert adopt(str(trained), tmp_path / "kept") == identify(trained)
    found = open_reranker(tmp_path / "kept").rerank("json text", CANDIDATES)
    assert found.tolist() == open_reranker(trained).rerank("json text", CANDIDATES).tolist()
    assert found.shape == (5,) and len(set(found)) > 1
    assert open_reranker(trained).rerank("json text", []).shape == (0,)
    assert open_reranker(trained).sides == ()


def test_training_starts_from_the_networks_of_the_encoder(trained: Path, tiny_model: Path) -> None:
    name = "embeddings.position_embeddings.weight"
    before = load_file(tiny_model / "model.safetensors")[name]
    after = load_file(trained / "model.safetensors")[f"bert.{name}"]
    assert abs(after - before).max() < 1e-3


def test_examples_without_wrong_passages_are_refused(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="none of 1 examples has a wrong passage; mine negatives"):
        train_cross(tiny_model, [Example("a", "b")], RECIPE, tmp_path / "x")


def test_a_dual_encoder_is_refused_in_words(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is a dual encoder, which embeds question and passage apart"):
        adopt(str(tiny_model), tmp_path / "x")
    bare = shutil.copytree(tiny_model, tmp_path / "bare")
    (bare / "modules.json").unlink()
    with pytest.raises(ModelError, match="is of the architecture BertModel, not one for sequence classification"):
        adopt(str(bare), tmp_path / "x")


def test_what_has_no_head_or_several_or_code_or_pickles_is_refused(folder: Path, tmp_path: Path) -> None:
    change(folder, id2label={"0": "no", "1": "yes"})
    with pytest.raises(ModelError, match="gives 2 numbers a passage, not one"):
        adopt(str(folder), tmp_path / "x")
    change(folder, id2label={"0": "yes"})
    weights = load_file(folder / "model.safetensors")
    headless = {name: tensor for name, tensor in weights.items() if not name.startswith("classifier")}
    save_file(headless, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match="its weights have no head"):
        adopt(str(folder), tmp_path / "x")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(DamagedModel, match=r"has no model.safetensors"):
        adopt(str(folder), tmp_path / "x")
    (folder / "modules.json").write_text(json.dumps([{"idx": 0, "name": "0", "path": "", "type": "evil.Module"}]))
    with pytest.raises(DamagedModel, match=r"names evil.Module, code of the model's own"):
        adopt(str(folder), tmp_path / "x")


def test_an_unknown_name_says_that_it_is_the_re_rankers(tmp_path: Path) -> None:
    with pytest.raises(UnknownModel, match=r"reranker.name './nowhere': there is no folder"):
        adopt("./nowhere", tmp_path / "x")
    with pytest.raises(UnknownModel, match="a stub is no cross-encoder"):
        adopt("stub", tmp_path / "x")
