"""Cross-encoders: trained from an encoder, adopted from a folder, and what would start with a random head refused."""

import json
import shutil
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file
from tiny import docstrings

from models.encoder import resolve
from models.errors import DamagedModel, ModelError, UnknownModel
from models.rerank.base import Candidate, identify, open_reranker
from models.rerank.cross import adopt, load
from models.rerank.train_cross import Example, cross_recipe, train_cross, untrained
from models.training.plan import TrainingProgress

TEXTS = [text[:120] for text in docstrings()]
EXAMPLES = [
    Example(text[:30], text, (TEXTS[(number + 5) % len(TEXTS)], TEXTS[(number + 9) % len(TEXTS)]))
    for number, text in enumerate(TEXTS)
]
RECIPE = cross_recipe(steps=8, batch=8, max_tokens=64)
CANDIDATES = [Candidate(text) for text in TEXTS[:5]]


@pytest.fixture(scope="module")
def trained(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("cross")
    return train_cross(resolve(tiny_model), EXAMPLES, RECIPE, work, device="cpu", threads=1).folder


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
    told: list[TrainingProgress] = []
    base = resolve(tiny_model)
    again = train_cross(base, EXAMPLES, RECIPE, tmp_path / "again", device="cpu", threads=1, progress=told.append)
    assert [(each.stage, each.step, each.steps) for each in told] == [("training", step, 8) for step in range(1, 9)]
    assert told[-1].seconds == 0 < told[0].seconds
    assert (again.steps, again.rows, len(again.losses)) == (8, 3 * len(EXAMPLES), 8)
    other = cross_recipe(steps=2, batch=8, max_tokens=64, seed=1)
    assert again.id == identify(trained)
    assert again.id != train_cross(base, EXAMPLES, other, tmp_path / "other", device="cpu", threads=1).id
    told.clear()
    read = train_cross(base, EXAMPLES, RECIPE, tmp_path / "again", device="cpu", threads=1, progress=told.append)
    assert (read, told) == (again, [])
    assert sorted(path.name for path in (tmp_path / "again").iterdir()) == ["model", "plan.json", "trained.json"]


def test_a_budget_becomes_steps_once(tiny_model: Path, tmp_path: Path) -> None:
    budget = cross_recipe(minutes=0.001, batch=8, max_tokens=64)
    base = resolve(tiny_model)
    found = train_cross(base, EXAMPLES, budget, tmp_path, device="cpu", threads=1)
    plan = json.loads((tmp_path / "plan.json").read_text())
    assert plan["step_seconds"] > 0 and found.steps == max(1, int(0.06 / plan["step_seconds"]))
    assert json.loads((found.folder / "tidemark_reranker.json").read_text())["recipe"]["steps"] == found.steps
    (tmp_path / "trained.json").unlink()  # it was killed before it ended, and steps take another time now
    plan["course"]["steps"] = 3
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    assert train_cross(base, EXAMPLES, budget, tmp_path, device="cpu", threads=1).steps == 3
    other = cross_recipe(minutes=0.002, batch=8, max_tokens=64)
    (tmp_path / "trained.json").unlink()
    with pytest.raises(ModelError, match="holds a training that was begun with another base, recipe or other examples"):
        train_cross(base, EXAMPLES, other, tmp_path, device="cpu", threads=1)


def test_one_that_is_not_trained_yet_scores_in_the_time_of_one_that_is(trained: Path, tiny_model: Path) -> None:
    network = untrained(resolve(tiny_model), RECIPE)
    assert network.rerank("json text", CANDIDATES).shape == (5,)
    sizes = [sum(weight.numel() for weight in one.parameters()) for one in (network.network, load(trained, 64))]
    assert sizes[0] == sizes[1]


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
        train_cross(resolve(tiny_model), [Example("a", "b")], RECIPE, tmp_path / "x")


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
