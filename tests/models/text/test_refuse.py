"""Encoders that would fail or lie hours later are refused when they are looked at, and the prompt has its place."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import build, docstrings

from models.config import EncoderConfig
from models.encoder import resolve
from models.errors import DamagedModel, ModelError
from models.text.layout import read_layout
from tasks.build.chunk import Cutter
from tasks.build.chunking.cut import ChunkerConfig, chunk_texts, fingerprint


@pytest.fixture
def folder(tiny_model: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_model, tmp_path / "copy")


def amend(file: Path, **changes: Any) -> None:
    content = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps({name: value for name, value in (content | changes).items() if value is not None}))


def refused(folder: Path, error: type[Exception] = ModelError, **config: Any) -> str:
    with pytest.raises(error) as told:
        resolve(EncoderConfig(name=str(folder), **config))
    return str(told.value)


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_a_model_that_names_code_of_its_own_is_refused_at_once(folder: Path, file: str) -> None:
    amend(folder / file, auto_map={"AutoModel": "modeling.Own"})
    assert "names code of its own (auto_map), and Tidemark runs no code" in refused(folder)


@pytest.mark.parametrize("kind", ["custom_st.Transformer", "os.Popen", "sentence_transformers_evil.models.Transformer"])
def test_a_module_of_another_package_is_refused_and_not_taken_for_its_namesake(folder: Path, kind: str) -> None:
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["type"] = kind
    (folder / "modules.json").write_text(json.dumps(modules))
    assert f"names the module {kind!r}, code of the model's own" in refused(folder, DamagedModel)


def test_modules_keep_their_kind_wherever_sentence_transformers_moves_them(folder: Path) -> None:
    before = resolve(folder).space
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["type"] = "sentence_transformers.base.modules.transformer.Transformer"
    (folder / "modules.json").write_text(json.dumps(modules))
    assert resolve(folder).space == before


@pytest.mark.parametrize(("kind", "padding", "usable"), [("bert", 0, 34), ("roberta", 1, 32), ("mpnet", 1, 32)])
def test_roberta_has_two_positions_fewer_than_it_says(folder: Path, kind: str, padding: int, usable: int) -> None:
    amend(folder / "config.json", model_type=kind, pad_token_id=padding, max_position_embeddings=34)
    (folder / "sentence_bert_config.json").unlink()
    amend(folder / "tokenizer_config.json", model_max_length=None)
    layout = read_layout(folder)
    assert (layout.positions, layout.window) == (usable, usable)
    told = f"encoder.window {usable + 1}: {folder} has {usable} positions; choose at most that"
    assert told in refused(folder, window=usable + 1)


def test_a_window_beyond_the_positions_names_the_file_that_says_so(folder: Path) -> None:
    amend(folder / "sentence_bert_config.json", max_seq_length=512)
    told = refused(folder)
    assert told.startswith(f"{folder / 'sentence_bert_config.json'} says max_seq_length 512, and the network has 128")
    assert told.endswith("set encoder.window = 128")
    assert resolve(EncoderConfig(name=str(folder), window=128)).space.window == 128


def test_a_tokenizer_of_another_model_is_refused(folder: Path) -> None:
    tokens = json.loads((folder / "tokenizer.json").read_text())
    tokens["model"]["vocab"]["besides"] = 99_999
    (folder / "tokenizer.json").write_text(json.dumps(tokens))
    told = refused(folder, DamagedModel)
    assert "numbers its tokens up to 99999, and the network in" in told
    assert "has vectors for 939" in told


@pytest.mark.parametrize("name", ["../outside.safetensors", "/etc/passwd", "a/../../outside.safetensors"])
def test_a_shard_outside_the_folder_is_neither_read_nor_written(folder: Path, name: str) -> None:
    shutil.move(folder / "model.safetensors", folder.parent / "outside.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"x": name}}))
    assert f"names the file {name!r}, which is not inside the folder" in refused(folder, DamagedModel)


def test_a_link_out_of_the_folder_is_not_copied_into_the_store(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "extra.txt").symlink_to(tmp_path / "secret.txt")
    assert f"{folder / 'extra.txt'} is a link to {tmp_path / 'secret.txt'}, outside" in refused(folder, DamagedModel)
    (folder / "extra.txt").unlink()
    (folder / "extra.txt").symlink_to("tokenizer.json")  # within
    assert resolve(folder).space.dimension == 32


def test_the_cache_of_the_hub_is_made_of_links_and_is_taken(tiny_model: Path, tmp_path: Path) -> None:
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "0123abc"
    for file in (file for file in tiny_model.rglob("*") if file.is_file()):
        link = snapshot / file.relative_to(tiny_model)
        link.parent.mkdir(parents=True, exist_ok=True)
        blobs.mkdir(exist_ok=True)
        link.symlink_to(shutil.copy(file, blobs / file.relative_to(tiny_model).as_posix().replace("/", "-")))
    assert resolve(snapshot).space.weights == resolve(tiny_model).space.weights


@pytest.fixture(scope="module")
def prompted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("prompted") / "model", prompts={"query": "query: ", "passage": "passage: "})


@settings(max_examples=25, deadline=None)
@given(
    prompt=st.sampled_from(["", "passage: ", "passage:", "to be found. ", "Represent this for search:\n", "(a) [b] "]),
    seed=st.integers(0, 40),
)
def test_no_chunk_is_longer_than_the_window_once_its_prompt_is_before_it(
    prompted: Path, prompt: str, seed: int
) -> None:
    encoder = resolve(EncoderConfig(name=str(prompted), document_prompt=prompt))
    tokenizer = encoder.tokenizer()
    cutter = Cutter.of(ChunkerConfig(min_tokens=20), tokenizer, encoder.space)
    text = " ".join(docstrings()[seed::7])
    (chunks,) = chunk_texts([text], tokenizer, cutter.config, cutter.window)
    longest = max(tokenizer.count([prompt + chunk.text for chunk in chunks]))
    assert longest + 2 <= encoder.space.window == 64


def test_without_a_prompt_the_chunker_is_what_it_was(tiny_model: Path, prompted: Path) -> None:
    for folder, prompt in ((tiny_model, ""), (prompted, "passage: ")):
        encoder = resolve(folder)
        room = 62 - encoder.tokenizer().count([prompt])[0]
        cutter = Cutter.of(ChunkerConfig(), encoder.tokenizer(), encoder.space)
        assert cutter.fingerprint == fingerprint(cutter.config, encoder.tokenizer().digest, room)


def test_a_prompt_that_leaves_no_room_for_a_text_is_refused(tiny_model: Path) -> None:
    told = refused(tiny_model, document_prompt="a " * 60)
    assert "takes 60 of the 64 tokens that" in told
    assert told.endswith("shorten encoder.document_prompt")
