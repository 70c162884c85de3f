"""The handle of an encoder: found once, then identified, opened and exported; and what its vectors must be."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from tiny import nudge

from models.config import EncoderConfig
from models.encoder import ENCODERS, Encoder, _class, check_vectors, resolve
from models.errors import DamagedModel, ModelError
from models.probe import confirm, probe
from models.text import identity
from models.text.layout import SETTINGS
from models.weights import digest_tensors


@pytest.mark.parametrize("target", sorted(set(ENCODERS.values())))
def test_every_row_of_the_table_is_an_encoder(target: str) -> None:
    kind = _class(target)
    assert all(
        hasattr(kind, name) for name in ("identify", "tokenizer", "open", "files", "encode_documents", "encode_queries")
    )


def test_an_opened_encoder_has_the_space_that_was_identified(tiny_model: Path) -> None:
    for config in (EncoderConfig(name="stub:3"), EncoderConfig(name="tiny", window=16), tiny_model):
        encoder: Encoder = resolve(config, tiny_model.parent).open()
        assert encoder.space == resolve(config, tiny_model.parent).space
        assert encoder.modality == encoder.space.modality == "text"


CONFIGURATIONS = [
    {},
    {"window": 16, "query_prompt": "query: ", "document_prompt": "passage: "},
    {"normalise": False},
]


@pytest.mark.parametrize("settings", CONFIGURATIONS, ids=["default", "prompts", "raw"])
@pytest.mark.parametrize("name", ["bare", "tiny", "stub:5"])
def test_an_export_is_the_same_space_and_gives_the_same_vectors(
    name: str, settings: dict[str, object], tiny_model: Path, tmp_path: Path
) -> None:
    bare = shutil.copytree(tiny_model, tmp_path / "bare")
    (bare / "modules.json").unlink()
    base = tmp_path if name == "bare" else tiny_model.parent
    config = EncoderConfig.model_validate({"name": name, **settings})
    space = resolve(config, base).export(tmp_path / "kept" / "encoder")
    again = resolve(tmp_path / "kept" / "encoder").open()
    assert again.space == space == resolve(config, base).space
    assert again.space.name == name
    assert confirm(probe(resolve(config, base).open()), again, tolerance=0) == 0
    assert resolve(tmp_path / "kept" / "encoder").export(tmp_path / "copy") == space


def test_an_export_holds_what_is_needed_and_nothing_that_executes(tiny_model: Path, tmp_path: Path) -> None:
    source = shutil.copytree(tiny_model, tmp_path / "source")
    for name in ("modeling.py", "pytorch_model.bin", "training_args.bin", "README.md", "optimizer.pt"):
        (source / name).write_bytes(b"x")
    resolve(source).export(tmp_path / "out")
    kept = {str(file.relative_to(tmp_path / "out")) for file in (tmp_path / "out").rglob("*") if file.is_file()}
    original = {str(file.relative_to(tiny_model)) for file in tiny_model.rglob("*") if file.is_file()}
    assert kept == original | {SETTINGS}


def test_a_configuration_goes_before_what_an_export_recorded(tiny_model: Path, tmp_path: Path) -> None:
    config = EncoderConfig(name="tiny", window=16, query_prompt="q: ")
    resolve(config, tiny_model.parent).export(tmp_path / "out")
    changed = resolve(EncoderConfig(name="out", window=32), tmp_path).space
    assert (changed.window, changed.query_prompt) == (32, "q: ")


def test_an_export_does_not_overwrite(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    with pytest.raises(ModelError, match="is not empty"):
        resolve(tiny_model).export(tmp_path)


def test_a_folder_without_an_encoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DamagedModel, match=r"is not the folder of an encoder: it has none of .*modules\.json"):
        resolve(tmp_path)


def test_weights_are_digested_once_until_a_file_is_touched(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "tiny")
    digested: list[Path] = []

    def listened(files: list[Path]) -> str:
        digested.extend(files)
        return digest_tensors(files)

    monkeypatch.setattr(identity, "digest_tensors", listened)
    encoder = resolve(folder)
    encoder.tokenizer()
    assert encoder.open().space == encoder.open().space == encoder.space
    assert digested == [folder / "model.safetensors"]
    encoder.export(tmp_path / "copy")  # the copy is digested, to confirm it
    assert digested[1:] == [tmp_path / "copy" / "model.safetensors"]
    times = (folder / "model.safetensors").stat()
    nudge(folder)
    os.utime(folder / "model.safetensors", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert encoder.open().space == resolve(folder).space != encoder.space


def test_a_model_that_changes_while_it_is_exported_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "tiny")
    encoder = resolve(folder)
    nudge(folder)
    with pytest.raises(DamagedModel, match=f"holds the space .*, not {encoder.space.id}: .* changed meanwhile"):
        encoder.export(tmp_path / "copy")


def test_vectors_that_break_the_promise_are_refused() -> None:
    space = resolve(EncoderConfig(name="stub")).space
    good = np.eye(4, 384, dtype=np.float32)
    assert check_vectors(good, space) is good
    for value, message in [(np.nan, "1 of 4 vectors are not finite, first number 2"), (2, "have no unit norm, first")]:
        bad = good.copy()
        bad[2, 2] = value
        with pytest.raises(RuntimeError, match=message):
            check_vectors(bad, space)
    with pytest.raises(RuntimeError, match="3 dimensions, the space 384"):
        check_vectors(good[:, :3], space)
