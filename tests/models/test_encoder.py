"""Opening, identifying, exporting and checking encoders."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from models.config import EncoderConfig
from models.encoder import ENCODERS, Encoder, _class, check_vectors, export, identify, open_encoder
from models.probe import confirm, probe
from models.text.layout import SETTINGS


@pytest.mark.parametrize("target", sorted(set(ENCODERS.values())))
def test_every_row_of_the_table_is_an_encoder(target: str) -> None:
    kind = _class(target)
    assert all(hasattr(kind, name) for name in ("identify", "open", "files", "encode_documents", "encode_queries"))


def test_an_opened_encoder_has_the_space_that_was_identified(tiny_model: Path) -> None:
    for config in (EncoderConfig(name="stub:3"), EncoderConfig(name="tiny", window=16), tiny_model):
        encoder: Encoder = open_encoder(config, tiny_model.parent)
        assert encoder.space == identify(config, tiny_model.parent)
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
    space = export(config, tmp_path / "kept" / "encoder", base)
    again = open_encoder(tmp_path / "kept" / "encoder")
    assert again.space == space == identify(config, base)
    assert again.space.name == name
    assert confirm(probe(open_encoder(config, base)), again, tolerance=0) == 0
    assert export(tmp_path / "kept" / "encoder", tmp_path / "copy") == space


def test_an_export_holds_what_is_needed_and_nothing_that_executes(tiny_model: Path, tmp_path: Path) -> None:
    source = shutil.copytree(tiny_model, tmp_path / "source")
    for name in ("modeling.py", "pytorch_model.bin", "training_args.bin", "README.md", "optimizer.pt"):
        (source / name).write_bytes(b"x")
    export(source, tmp_path / "out")
    kept = {str(file.relative_to(tmp_path / "out")) for file in (tmp_path / "out").rglob("*") if file.is_file()}
    original = {str(file.relative_to(tiny_model)) for file in tiny_model.rglob("*") if file.is_file()}
    assert kept == original | {SETTINGS}


def test_a_configuration_goes_before_what_an_export_recorded(tiny_model: Path, tmp_path: Path) -> None:
    export(EncoderConfig(name="tiny", window=16, query_prompt="q: "), tmp_path / "out", tiny_model.parent)
    changed = identify(EncoderConfig(name="out", window=32), tmp_path)
    assert (changed.window, changed.query_prompt) == (32, "q: ")


def test_an_export_does_not_overwrite(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    with pytest.raises(ValueError, match="is not empty"):
        export(tiny_model, tmp_path)


def test_a_folder_without_an_encoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"is not the folder of an encoder: it has none of .*modules\.json"):
        identify(tmp_path)


def test_vectors_that_break_the_promise_are_refused() -> None:
    space = identify(EncoderConfig(name="stub"))
    good = np.eye(4, 384, dtype=np.float32)
    assert check_vectors(good, space) is good
    for value, message in [(np.nan, "1 of 4 vectors are not finite, first number 2"), (2, "have no unit norm, first")]:
        bad = good.copy()
        bad[2, 2] = value
        with pytest.raises(RuntimeError, match=message):
            check_vectors(bad, space)
    with pytest.raises(RuntimeError, match="3 dimensions, the space 384"):
        check_vectors(good[:, :3], space)
