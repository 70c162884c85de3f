"""The transformer stack; that its vectors are right is seen in test_sentence.py."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.numpy import load_file, save_file

from models.text.bert import Bert
from models.text.layout import read_layout


@pytest.fixture
def folder(tiny_model: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_model, tmp_path / "copy")


@pytest.mark.parametrize(
    "changes",
    [
        {"model_type": "mpnet"},
        {"hidden_act": "gelu_new"},
        {"position_embedding_type": "relative_key"},
        {"is_decoder": True},
    ],
)
def test_networks_that_compute_otherwise_are_left_to_others(changes: dict[str, object], folder: Path) -> None:
    assert Bert.fits(read_layout(folder).modules[0])
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))
    assert not Bert.fits(read_layout(folder).modules[0])


def test_adapters_and_unknown_names_are_left_to_others(folder: Path) -> None:
    (folder / "adapter_config.json").write_text("{}")
    assert not Bert.fits(read_layout(folder).modules[0])
    (folder / "adapter_config.json").unlink()
    save_file({"other": load_file(folder / "model.safetensors")["pooler.dense.bias"]}, folder / "model.safetensors")
    assert not Bert.fits(read_layout(folder).modules[0])


def test_prefixed_checkpoints_and_padding_change_nothing(folder: Path) -> None:
    module = read_layout(folder).modules[0]
    ids = torch.tensor([[2, 40, 41, 3]])
    with torch.inference_mode():
        plain = Bert.load(module, "cpu", torch.float32).forward(ids, None)
        tensors = load_file(folder / "model.safetensors")
        save_file({f"bert.{name}": tensor for name, tensor in tensors.items()}, folder / "model.safetensors")
        prefixed = Bert.load(module, "cpu", torch.float32)
        padded = prefixed.forward(torch.tensor([[2, 40, 41, 3, 0, 0]]), torch.tensor([[True] * 4 + [False] * 2]))
    assert torch.allclose(plain, padded[:, :4], atol=1e-6)
