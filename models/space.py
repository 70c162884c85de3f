"""The identity of a vector space, computed from an encoder's files alone, without torch."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal, Self

from models.config import EncoderConfig
from models.text.layout import Layout, Module, read_layout
from models.text.tokenizer import tokenizer_digest
from models.weights import digest_tensors, list_tensors, weight_files

__all__ = ["CONFIGURABLE", "Modality", "Space", "configured", "digest", "space_of"]

Modality = Literal["text", "image", "audio"]
FORMAT = 1  # of the identity itself: raised when its ingredients change
CONFIGURABLE = ("window", "normalise", "query_prompt", "document_prompt")
WIDTHS = ("hidden_size", "dim", "d_model", "n_embd")  # what transformers call the width of their last layer


@dataclass(frozen=True)
class Space:
    """What two vectors must have in common to be compared.

    Attributes:
        name: What the encoder is called; for people, no part of the identity.
        modality: What it embeds.
        dimension: Length of its vectors.
        window: Tokens that it sees of a text, special ones included; 0 where it has no limit.
        pooling: How token vectors become one, for example `mean`.
        normalise: Whether vectors have unit length.
        query_prompt: Put before every query.
        document_prompt: Put before every chunk.
        weights: Digest of all tensors by name, dtype, shape and bytes.
        tokenizer: Digest of the tokenizer.
        network: Digest of the module chain and of the settings of each module.
        stub: Whether the vectors are a fast fake for benchmarks.
    """

    name: str = field(compare=False)
    modality: Modality
    dimension: int
    window: int
    pooling: str
    normalise: bool
    query_prompt: str
    document_prompt: str
    weights: str
    tokenizer: str
    network: str
    stub: bool = False

    @cached_property
    def id(self) -> str:
        """The identity: 32 hex characters."""
        parts = asdict(self)
        del parts["name"]
        return digest({"format": FORMAT, **parts})

    @property
    def short(self) -> str:
        """The first 12 characters of the identity, for table names."""
        return self.id[:12]

    def to_json(self) -> str:
        """Write it as a JSON object with sorted keys, the id among them."""
        return json.dumps({"id": self.id, **asdict(self)}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: a field is missing or unknown, or the id does not belong to the others.
        """
        content = json.loads(text)
        wanted = content.pop("id", None)
        known = {entry.name for entry in fields(cls)}
        if set(content) != known:
            odd = ", ".join(sorted(set(content) ^ known))
            raise ValueError(f"space {wanted}: these fields are missing or unknown: {odd}; another release wrote it")
        space = cls(**content)
        if space.id != wanted:
            raise ValueError(f"space {wanted}: its fields give the id {space.id}; the record was altered")
        return space


def digest(content: Any) -> str:
    """Hash JSON content, whatever the order of its keys, to 32 hex characters."""
    return blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=16).hexdigest()


def space_of(folder: Path, config: EncoderConfig) -> Space:
    """Compute the space of a model folder under a configuration, from its files.

    Re-saving the genuine model, moving it or running it elsewhere changes nothing; any other weight, token, module,
    prompt, window or normalisation does.

    Raises:
        ValueError: the folder is no encoder, is cut off, or the configuration does not fit it.
    """
    layout = read_layout(folder)
    config = configured(config, layout)
    files = [weight_files(module.folder) for module in layout.modules]
    for module, found in zip(layout.modules, files, strict=True):
        module.refuse_pickles(found)
    tokens = json.loads(layout.tokenizer_file.read_text(encoding="utf-8"))
    return Space(
        name=layout.settings.get("name") or _name(config.name),
        modality="text",
        dimension=_dimension(layout),
        window=_window(layout, config.window),
        pooling=layout.pooling,
        normalise=config.normalise or layout.normalises,
        query_prompt=layout.query_prompt if config.query_prompt is None else config.query_prompt,
        document_prompt=layout.document_prompt if config.document_prompt is None else config.document_prompt,
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


def _name(name: str) -> str:
    """Shorten an absolute path, which says nothing elsewhere, to its last part."""
    return Path(name).name if Path(name).is_absolute() else name


def _distinct(groups: list[list[Path]]) -> list[list[Path]]:
    return [group for index, group in enumerate(groups) if group and group not in groups[:index]]


def _window(layout: Layout, wanted: int | None) -> int:
    """Give the configured window, else the model's own.

    Raises:
        ValueError: the network has not so many positions.
    """
    if wanted is None:
        return layout.window
    positions = layout.modules[0].config.get("max_position_embeddings")
    if positions is not None and wanted > positions:
        raise ValueError(f"encoder.window {wanted}: {layout.folder} has {positions} positions; choose at most that")
    return wanted


def _dimension(layout: Layout) -> int:
    """Follow the width through the module chain."""
    width = 0
    for module in layout.modules:
        width = _width(module, width)
    if not width:
        raise ValueError(f"{layout.folder}: the dimension of its vectors is not declared by any module")
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
