"""Averages of two encoders."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tiny import build, nudge

from models.encoder import resolve
from models.errors import ModelError
from models.training.average import average


@pytest.fixture
def tuned(tiny_model: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "tuned"
    shutil.copytree(tiny_model, folder)
    nudge(folder)
    return folder


def test_weights_lie_between_the_two_and_all_else_is_the_bases(tiny_model: Path, tuned: Path, tmp_path: Path) -> None:
    folder = average(tiny_model, tuned, tmp_path / "average", 0.25)

    a, b, found = (load_file(place / "model.safetensors") for place in (tiny_model, tuned, folder))
    assert found.keys() == a.keys()
    for name, tensor in found.items():
        np.testing.assert_allclose(tensor, 0.75 * a[name] + 0.25 * b[name], rtol=1e-6, atol=1e-8)
    spaces = [resolve(place).space for place in (tiny_model, tuned, folder)]
    assert len({space.weights for space in spaces}) == 3
    assert len({(space.tokenizer, space.network, space.window) for space in spaces}) == 1
    assert spaces[2].name == "tuned averaged"
    assert resolve(folder).open().encode_queries(["hello"]).shape == (1, 32)


@pytest.mark.parametrize(("weight", "kept"), [(0.0, 0), (1.0, 1)])
def test_a_whole_weight_gives_back_one_of_the_two(
    weight: float, kept: int, tiny_model: Path, tuned: Path, tmp_path: Path
) -> None:
    folder = average(tiny_model, tuned, tmp_path / "average", weight)

    assert resolve(folder).space.weights == resolve((tiny_model, tuned)[kept]).space.weights


def test_names_with_the_prefix_of_an_old_file_are_the_same_weights(
    tiny_model: Path, tuned: Path, tmp_path: Path
) -> None:
    old = tmp_path / "old"
    shutil.copytree(tiny_model, old)
    tensors = {f"bert.{name}": tensor for name, tensor in load_file(tiny_model / "model.safetensors").items()}
    save_file({**tensors, "cls.predictions.bias": np.zeros(3, np.float32)}, old / "model.safetensors")

    found = load_file(average(old, tuned, tmp_path / "average") / "model.safetensors")

    plain = load_file(average(tiny_model, tuned, tmp_path / "plain") / "model.safetensors")
    assert {name.removeprefix("bert."): tensor.sum() for name, tensor in found.items()} == {
        **{name: tensor.sum() for name, tensor in plain.items()},
        "cls.predictions.bias": 0,
    }


def test_networks_of_different_shapes_have_no_average(tiny_model: Path, tuned: Path, tmp_path: Path) -> None:
    file = tuned / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "num_hidden_layers": 1}))

    with pytest.raises(ModelError, match="not of one shape"):
        average(tiny_model, tuned, tmp_path / "average")
    assert not (tmp_path / "average").exists()


def test_another_average_takes_the_place_of_the_one_before(tiny_model: Path, tuned: Path, tmp_path: Path) -> None:
    other = build(tmp_path / "other", seed=1)

    first = resolve(average(tiny_model, other, tmp_path / "average")).space.weights
    second = resolve(average(tiny_model, tuned, tmp_path / "average")).space.weights

    assert first != second
