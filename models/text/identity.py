"""The space of a text encoder, computed from its files alone, without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from models.config import EncoderConfig
from models.errors import DamagedModel
from models.space import Space, digest
from models.text.layout import Layout, Module, read_layout
from models.text.refuse import prompt_tokens, refuse_unusable, refuse_window
from models.text.tokenizer import tokenizer_digest
from models.weights import digest_tensors, list_tensors, weight_files

__all__ = ["CONFIGURABLE", "configured", "space_of"]

CONFIGURABLE = ("window", "normalise", "query_prompt", "document_prompt")
WIDTHS = ("hidden_size", "dim", "d_model", "n_embd")  # what transformers call the width of their last layer


def space_of(folder: Path, config: EncoderConfig) -> Space:
    """Compute the space of a model folder under a configuration, from its files.

    Re-saving the genuine model, moving it or running it elsewhere changes nothing; any other weight, token, module,
    prompt, window or normalisation does.

    Raises:
        ModelError: the folder is no encoder, is cut off, or the configuration does not fit it.
    """
    layout = read_layout(folder)
    config = configured(config, layout)
    files = [weight_files(module.folder) for module in layout.modules]
    for module, found in zip(layout.modules, files, strict=True):
        module.refuse_pickles(found)
    tokens = _tokens(layout.tokenizer_file)
    refuse_unusable(layout, tokens)
    window = _window(layout, config.window)
    prompt = layout.document_prompt if config.document_prompt is None else config.document_prompt
    prompt_tokens(layout, prompt, window)
    return Space(
        name=layout.settings.get("name") or _name(config.name),
        modality="text",
        dimension=_dimension(layout),
        window=window,
        pooling=layout.pooling,
        normalise=config.normalise or layout.normalises,
        query_prompt=layout.query_prompt if config.query_prompt is None else config.query_prompt,
        document_prompt=prompt,
        # Two modules may share a folder (a bare transformer and its pooling): their files count once.
        weights=digest([digest_tensors(group) for group in _distinct(files)]),
        tokenizer=tokenizer_digest(tokens),
        network=digest(
            {
                "modules": [[module.kind, module.settings] for module in layout.modules],
                "lowercase": layout.lowercase,
                "special": tokens.get("post_processor"),
            }
        ),
    )


def configured(config: EncoderConfig, layout: Layout) -> EncoderConfig:
    """Fill in what an exported folder recorded wherever the configuration says nothing itself."""
    recorded = {key: layout.settings[key] for key in CONFIGURABLE if key in layout.settings}
    return config.model_copy(
        update={key: value for key, value in recorded.items() if key not in config.model_fields_set}
    )


def _tokens(file: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DamagedModel(f"{file} is broken: {error}; copy the whole model folder again") from error
    return content


def _name(name: str) -> str:
    """Shorten an absolute path, which says nothing elsewhere, to its last part."""
    return Path(name).name if Path(name).is_absolute() else name


def _distinct(groups: list[list[Path]]) -> list[list[Path]]:
    return [group for index, group in enumerate(groups) if group and group not in groups[:index]]


def _window(layout: Layout, wanted: int | None) -> int:
    """Give the configured window, else the model's own.

    Raises:
        ModelError: the network has not so many positions.
    """
    window = layout.window if wanted is None else wanted
    refuse_window(layout, window, asked=wanted is not None)
    return window


def _dimension(layout: Layout) -> int:
    """Follow the width through the module chain."""
    width = 0
    for module in layout.modules:
        width = _width(module, width)
    if not width:
        raise DamagedModel(f"{layout.folder}: the dimension of its vectors is not declared by any module")
    return width


def _width(module: Module, before: int) -> int:
    """Give the width after a module."""
    if module.kind == "Pooling":
        declared = module.config.get("embedding_dimension", module.config.get("word_embedding_dimension", before))
        return int(declared) * len(module.modes)
    if "out_features" in module.config:
        return int(module.config["out_features"])
    if module.kind == "StaticEmbedding":
        return list_tensors(weight_files(module.folder)[0])[0].shape[-1]
    return next((int(module.config[key]) for key in WIDTHS if key in module.config), before)
