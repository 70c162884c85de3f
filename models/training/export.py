"""The folder of a trained encoder: its base's files, with the weights alone exchanged."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from models.encoder import EncoderFolder, resolve
from models.errors import DamagedModel
from models.text.layout import SETTINGS, read_layout
from models.weights import weight_files

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = ["export", "rename"]


def export(model: SentenceTransformer, base: EncoderFolder, destination: Path, name: str, shorter: bool) -> None:
    """Write a trained model, whole or not at all.

    What the library saves is taken for its weights only, and for the number of layers of a student: it would spell
    settings anew, and write the tokenizer as it was set up for training.

    Args:
        model: The trained model, adapters merged.
        base: What it was trained from.
        destination: The folder, which is replaced if it exists.
        name: Its name, for people.
        shorter: Whether it has fewer layers than its base.

    Raises:
        DamagedModel: what was written is not the trained model.
    """
    saved = destination.with_name(f"{destination.name}.saved")
    unfinished = destination.with_name(f"{destination.name}.part")
    for folder in (saved, unfinished, destination):
        shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(str(saved), create_model_card=False, safe_serialization=True)
    base.export(unfinished)
    old, new = read_layout(unfinished), read_layout(saved)
    # Old weights go first: they may be spread over other files than the new ones.
    for pattern in ("*.safetensors", "*.safetensors.index.json"):
        for file in unfinished.rglob(pattern):
            file.unlink()
    for before, after in zip(old.modules, new.modules, strict=True):
        index = [file for file in [after.folder / "model.safetensors.index.json"] if file.is_file()]
        for file in [*weight_files(after.folder), *index]:
            shutil.copyfile(file, before.folder / file.name)
    if shorter:
        shutil.copyfile(new.modules[0].folder / "config.json", old.modules[0].folder / "config.json")
    rename(unfinished, name)
    _check(base, unfinished, shorter)
    shutil.rmtree(saved)
    unfinished.replace(destination)


def rename(folder: Path, name: str) -> None:
    """Write the name of an exported encoder into its settings."""
    file = folder / SETTINGS
    content = {**json.loads(file.read_text(encoding="utf-8")), "name": name}
    file.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _check(base: EncoderFolder, folder: Path, shorter: bool) -> None:
    """Refuse a folder that differs from its base in more than its weights."""
    found = resolve(folder).space
    wanted = replace(base.space, weights=found.weights, network=found.network if shorter else base.space.network)
    if found != wanted:
        raise DamagedModel(
            f"{folder} holds {found.to_json()}, which differs from its base {base.space.to_json()} in more than weights"
        )
