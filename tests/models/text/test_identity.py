"""The space of a model folder: what changes it, and what does not."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tiny import nudge

from models.config import EncoderConfig
from models.errors import DamagedModel, ModelError
from models.text.identity import space_of

DEFAULT = EncoderConfig(name="tiny")


@pytest.fixture
def folder(tiny_model: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_model, tmp_path / "copy")


def edit(file: Path, **changes: object) -> None:
    """Change keys of a JSON file; None removes one."""
    content = json.loads(file.read_text()) if file.exists() else {}
    merged = {key: value for key, value in {**content, **changes}.items() if value is not None}
    file.write_text(json.dumps(merged, indent=1))


def edit_modules(folder: Path, change: Callable[[list[dict[str, Any]]], object]) -> None:
    modules = json.loads((folder / "modules.json").read_text())
    change(modules)
    (folder / "modules.json").write_text(json.dumps(modules))


def add_dense(folder: Path, **settings: object) -> None:
    dense = folder / "3_Dense"
    dense.mkdir(exist_ok=True)
    (dense / "config.json").write_text(json.dumps({"in_features": 32, "out_features": 16, **settings}))
    save_file({"linear.weight": np.full((16, 32), settings.get("fill", 1), np.float32)}, dense / "model.safetensors")
    edit_modules(
        folder, lambda modules: modules.append({"path": "3_Dense", "type": "sentence_transformers.models.Dense"})
    )


def edit_tokenizer(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads((folder / "tokenizer.json").read_text())
    change(content)
    (folder / "tokenizer.json").write_text(json.dumps(content))


CHANGES: dict[str, Callable[[Path], object]] = {
    "weights in place": nudge,
    "a word of the vocabulary": lambda folder: edit_tokenizer(folder, lambda t: t["model"]["vocab"].update(zebra=938)),
    "the tokenizer's case": lambda folder: edit_tokenizer(folder, lambda t: t["normalizer"].update(lowercase=False)),
    "special tokens": lambda folder: edit_tokenizer(folder, lambda t: t["post_processor"]["single"].pop()),
    "pooling": lambda folder: edit(folder / "1_Pooling/config.json", pooling_mode="cls"),
    "pooling of prompts": lambda folder: edit(folder / "1_Pooling/config.json", include_prompt=False),
    "a norm less": lambda folder: edit_modules(folder, lambda modules: modules.pop()),
    "a dense layer more": add_dense,
    "window": lambda folder: edit(folder / "sentence_bert_config.json", max_seq_length=32),
    "lowercase": lambda folder: edit(folder / "sentence_bert_config.json", do_lower_case=True),
    "query prompt": lambda folder: edit(folder / "config_sentence_transformers.json", prompts={"query": "q: "}),
    "document prompt": lambda folder: edit(folder / "config_sentence_transformers.json", prompts={"document": "d: "}),
    "activation": lambda folder: edit(folder / "config.json", hidden_act="relu"),
    "heads": lambda folder: edit(folder / "config.json", num_attention_heads=2),
    "epsilon": lambda folder: edit(folder / "config.json", layer_norm_eps=1e-5),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_ingredient_changes_the_space(change: Callable[[Path], object], folder: Path) -> None:
    before = space_of(folder, DEFAULT)
    change(folder)
    assert space_of(folder, DEFAULT).id != before.id


@pytest.mark.parametrize("settings", [{"activation_function": "torch.nn.modules.linear.Identity"}, {"fill": 2}])
def test_settings_and_weights_of_later_modules_change_the_space(settings: dict[str, object], folder: Path) -> None:
    other = shutil.copytree(folder, folder.parent / "other")
    add_dense(folder)
    add_dense(other, **settings)
    assert space_of(folder, DEFAULT).id != space_of(other, DEFAULT).id
    assert space_of(folder, DEFAULT).dimension == 16


@pytest.mark.parametrize(
    "changed",
    [{"window": 32}, {"query_prompt": "q: "}, {"document_prompt": "d: "}],
    ids=lambda changed: next(iter(changed)),
)
def test_the_configuration_changes_the_space(changed: dict[str, Any], tiny_model: Path) -> None:
    assert space_of(tiny_model, EncoderConfig(name="tiny", **changed)).id != space_of(tiny_model, DEFAULT).id


def test_normalisation_changes_the_space_unless_the_model_normalises_anyway(folder: Path) -> None:
    raw = EncoderConfig(name="tiny", normalise=False)
    assert space_of(folder, raw) == space_of(folder, DEFAULT)
    edit_modules(folder, lambda modules: modules.pop())
    assert space_of(folder, raw).id != space_of(folder, DEFAULT).id
    assert not space_of(folder, raw).normalise


def resave(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    constant = {"embeddings.position_ids": np.arange(128, dtype=np.int64)[None]}
    save_file({**constant, **tensors}, folder / "model.safetensors", {"format": "pt", "written_by": "another release"})


SAME: dict[str, Callable[[Path], object]] = {
    "weights saved again": resave,
    "truncation and padding": lambda folder: edit_tokenizer(folder, lambda t: t.update(truncation=None, padding=None)),
    "pooling in new words": lambda folder: edit(
        folder / "1_Pooling/config.json",
        pooling_mode="mean", embedding_dimension=32, include_prompt=True, word_embedding_dimension=None,
        pooling_mode_mean_tokens=None, pooling_mode_cls_token=None,
    ),
    "modules moved in the library": lambda folder: edit_modules(
        folder, lambda modules: modules[1].update(type="sentence_transformers.sentence_transformer.modules.Pooling")
    ),
    "versions and dropout": lambda folder: edit(folder / "config.json", transformers_version="9", dropout=0.2),
    "touched": lambda folder: [file.touch() for file in folder.rglob("*.json")],
    "a readme": lambda folder: (folder / "README.md").write_text("words"),
}  # fmt: skip


@pytest.mark.parametrize("change", SAME.values(), ids=SAME)
def test_what_changes_no_vector_changes_no_space(change: Callable[[Path], object], folder: Path) -> None:
    before = space_of(folder, DEFAULT)
    change(folder)
    assert space_of(folder, DEFAULT).id == before.id


def test_path_name_device_and_batches_are_no_part_of_it(tiny_model: Path, folder: Path) -> None:
    elsewhere = EncoderConfig(name=str(folder), device="cuda", batch_tokens=7, threads=3)
    there = space_of(folder, elsewhere)
    assert there == space_of(tiny_model, DEFAULT)
    assert (there.name, space_of(tiny_model, DEFAULT).name) == ("copy", "tiny")


def test_the_packaged_space_is_this_one() -> None:
    from models.encoder import resolve

    space = resolve(EncoderConfig()).space
    assert (space.dimension, space.window, space.pooling, space.normalise) == (384, 256, "mean", True)
    # Written down, because a change of it re-embeds every user's corpus.
    assert space.id == "7b54e0d3164b180057caf4f8e4f929ac"


def test_identity_needs_neither_torch_nor_transformers() -> None:
    code = (
        "import sys; from models.encoder import resolve; from models.config import EncoderConfig;"
        "resolve(EncoderConfig()).space; resolve(EncoderConfig(name='stub')).space;"
        "assert not {'torch', 'transformers', 'sentence_transformers', 'huggingface_hub'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])


def test_a_window_beyond_the_positions_is_refused(tiny_model: Path) -> None:
    with pytest.raises(ModelError, match=r"encoder.window 129: .* has 128 positions; choose at most that"):
        space_of(tiny_model, EncoderConfig(name="tiny", window=129))


def test_pickles_are_refused_in_any_module(folder: Path) -> None:
    add_dense(folder)
    (folder / "3_Dense/model.safetensors").rename(folder / "3_Dense/pytorch_model.bin")
    with pytest.raises(DamagedModel, match=r"3_Dense holds its weights as pytorch_model.bin, a pickle"):
        space_of(folder, DEFAULT)


def test_a_broken_tokenizer_is_named(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(DamagedModel, match=r"tokenizer\.json is broken: .*; copy the whole model folder again"):
        space_of(folder, DEFAULT)
