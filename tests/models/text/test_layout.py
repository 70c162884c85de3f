"""What the files of an encoder's folder say."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from models.errors import DamagedModel
from models.text.layout import Module, read_layout


@pytest.fixture
def folder(tiny_model: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_model, tmp_path / "copy")


def write(file: Path, content: object) -> None:
    file.write_text(json.dumps(content))


def test_the_chain_is_read_in_order(tiny_model: Path) -> None:
    layout = read_layout(tiny_model)
    assert [module.kind for module in layout.modules] == ["Transformer", "Pooling", "Normalize"]
    assert (layout.pooling, layout.window, layout.lowercase, layout.normalises) == ("mean", 64, False, True)
    assert layout.tokenizer_file == tiny_model / "tokenizer.json"
    assert (layout.query_prompt, layout.document_prompt) == ("", "")


def test_a_bare_transformer_is_pooled_by_its_mean(folder: Path) -> None:
    (folder / "modules.json").unlink()
    layout = read_layout(folder)
    assert [module.kind for module in layout.modules] == ["Transformer", "Pooling"]
    assert (layout.pooling, layout.normalises) == ("mean", False)


@pytest.mark.parametrize(
    ("config", "modes"),
    [
        ({}, ("mean",)),
        ({"pooling_mode": "lasttoken"}, ("lasttoken",)),
        ({"pooling_mode": ["cls", "max"]}, ("cls", "max")),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}, ("cls", "mean")),
    ],
)
def test_pooling_is_read_in_both_spellings(config: dict[str, Any], modes: tuple[str, ...]) -> None:
    assert Module("Pooling", Path(), config).modes == modes


@pytest.mark.parametrize(
    ("prompts", "query", "document"),
    [
        ({}, "", ""),
        ({"query": "query: ", "passage": "passage: "}, "query: ", "passage: "),
        ({"document": "d: ", "passage": "p: "}, "", "d: "),
        ({"query": None, "corpus": "c: "}, "", "c: "),
    ],
)
def test_prompts_are_found_by_their_names(folder: Path, prompts: object, query: str, document: str) -> None:
    write(folder / "config_sentence_transformers.json", {"prompts": prompts})
    layout = read_layout(folder)
    assert (layout.query_prompt, layout.document_prompt) == (query, document)


def test_the_window_is_the_smallest_declared_limit(folder: Path) -> None:
    (folder / "sentence_bert_config.json").unlink()
    assert read_layout(folder).window == 64, "the tokenizer's"
    write(folder / "tokenizer_config.json", {"model_max_length": 10**30})
    assert read_layout(folder).window == 128, "the network's"


def test_a_re_save_spells_settings_differently_and_says_the_same() -> None:
    before = Module("Transformer", Path(), {"hidden_size": 32, "hidden_dropout_prob": 0.1, "torch_dtype": "float32"})
    after = Module("Transformer", Path(), {"hidden_size": 32, "dtype": "float32", "is_decoder": False, "_name": "x"})
    assert before.settings == after.settings == {"hidden_size": 32}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("modules.json", "[{", "modules.json is broken"),
        ("modules.json", "[]", "names no module"),
        ("modules.json", '[{"type": "a.Transformer", "path": "../../other"}]', "is not inside the folder"),
        ("sentence_bert_config.json", "[]", "holds no JSON object"),
    ],
)
def test_broken_files_are_named(folder: Path, name: str, content: str, message: str) -> None:
    (folder / name).write_text(content)
    with pytest.raises(DamagedModel, match=message):
        read_layout(folder)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DamagedModel, match="is not the folder of an encoder"):
        read_layout(tmp_path)


def test_a_folder_without_a_fast_tokenizer_says_what_to_do(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    with pytest.raises(DamagedModel, match=r"no tokenizer\.json; save the model once"):
        _ = read_layout(folder).tokenizer_file


def test_pickled_and_missing_weights_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    transformer = read_layout(folder).modules[0]
    with pytest.raises(DamagedModel, match=r"pytorch_model.bin, a pickle, which can run code.*save the model as safet"):
        transformer.refuse_pickles([])
    (folder / "pytorch_model.bin").unlink()
    with pytest.raises(DamagedModel, match=r"has no model\.safetensors, which its Transformer needs"):
        transformer.refuse_pickles([])
