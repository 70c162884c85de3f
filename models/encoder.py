"""What an encoder is, and the ways to identify, open and export one."""

from __future__ import annotations

import importlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from models.config import EncoderConfig, locate, stub_seed
from models.space import Modality, Space
from models.text.tokenizer import TextTokenizer

__all__ = [
    "ENCODERS",
    "Encoder",
    "OnProgress",
    "Progress",
    "Vectors",
    "check_vectors",
    "export",
    "identify",
    "open_encoder",
]

Vectors = npt.NDArray[np.float32]

# The file that tells each kind of folder, and the class that opens it; the first that fits is taken.
ENCODERS: dict[str, str] = {
    "tidemark_stub.json": "models.text.stub:StubEncoder",
    "modules.json": "models.text.sentence:SentenceEncoder",
    "config.json": "models.text.sentence:SentenceEncoder",
}
NORM_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Progress:
    """How far a call of `encode_documents` is.

    Attributes:
        texts: Texts that are done.
        tokens: Tokens that are done, special ones included.
        all_texts: Texts to do.
        all_tokens: Tokens to do.
    """

    texts: int
    tokens: int
    all_texts: int
    all_tokens: int


OnProgress = Callable[[Progress], None]


class Encoder(Protocol):
    """Turns texts into vectors of one space."""

    space: Space
    tokenizer: TextTokenizer

    @property
    def modality(self) -> Modality:
        """What it embeds."""

    def encode_documents(self, texts: Sequence[str], progress: OnProgress | None = None) -> Vectors:
        """Embed chunks, with the document prompt.

        Args:
            texts: The chunks; what is beyond the window is not seen.
            progress: Called after every batch.

        Returns:
            Shape (n, dimension), in the order of the texts, finite, of unit norm where the space normalises.
        """

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Embed queries, with the query prompt: shape (n, dimension)."""


class EncoderClass(Protocol):
    """What a class of the table of encoders offers."""

    def identify(self, folder: Path | None, config: EncoderConfig) -> Space:
        """Compute the space from files alone."""

    def open(self, folder: Path | None, config: EncoderConfig) -> Encoder:
        """Load the encoder."""

    def files(self, folder: Path | None, config: EncoderConfig) -> dict[str, Path | dict[str, Any]]:
        """List what an export needs: a path to copy, or the content of a JSON file, by its name in the folder."""


def identify(config: EncoderConfig | Path, base: Path | None = None) -> Space:
    """Compute the space of an encoder from its files, in a fraction of a second and without torch.

    Args:
        config: The encoder section, or the folder of an encoder.
        base: The folder that a relative path in the configuration starts from.

    Raises:
        ValueError: there is no such encoder, or its folder is damaged or unsafe.
    """
    kind, folder, config = _resolved(config, base)
    return kind.identify(folder, config)


def open_encoder(config: EncoderConfig | Path, base: Path | None = None) -> Encoder:
    """Load an encoder; arguments and errors as for `identify`."""
    kind, folder, config = _resolved(config, base)
    return kind.open(folder, config)


def export(config: EncoderConfig | Path, destination: Path, base: Path | None = None) -> Space:
    """Copy just the files that an encoder needs into a folder that opens as the same space.

    Args:
        config: The encoder section, or the folder of an encoder.
        destination: A folder that is empty or does not exist.
        base: The folder that a relative path in the configuration starts from.

    Returns:
        The space, confirmed on the copy.

    Raises:
        ValueError: the destination is not empty, or the copy is not the same (the source changed meanwhile).
    """
    kind, folder, config = _resolved(config, base)
    if destination.exists() and any(destination.iterdir()):
        raise ValueError(f"{destination} is not empty: export an encoder to a folder of its own")
    space = kind.identify(folder, config)
    for name, content in kind.files(folder, config).items():
        target = destination / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Path):
            shutil.copyfile(content, target)
        else:
            target.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    copied = identify(destination)
    if copied != space:
        raise ValueError(
            f"{destination} holds the space {copied.id}, not {space.id}: {folder} changed while it was copied"
        )
    return space


def check_vectors(vectors: Vectors, space: Space) -> Vectors:
    """Return the vectors if they are what the space promises.

    Raises:
        RuntimeError: a vector is not finite, has another dimension or, where the space normalises, no unit norm.
    """
    if vectors.shape[1] != space.dimension:
        raise RuntimeError(f"{space.name}: vectors have {vectors.shape[1]} dimensions, the space {space.dimension}")
    # A norm is finite only if every coordinate is, so that one pass tells both.
    norms = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float32))
    broken = np.flatnonzero(~np.isfinite(norms))
    if len(broken):
        raise RuntimeError(
            f"{space.name}: {len(broken)} of {len(vectors)} vectors are not finite, first number {broken[0]}"
        )
    if space.normalise:
        odd = np.flatnonzero(np.abs(norms - 1) > NORM_TOLERANCE)
        if len(odd):
            raise RuntimeError(
                f"{space.name}: {len(odd)} of {len(vectors)} vectors have no unit norm, first number {odd[0]} "
                f"with {norms[odd[0]]:.6f}"
            )
    return vectors


def _resolved(config: EncoderConfig | Path, base: Path | None) -> tuple[EncoderClass, Path | None, EncoderConfig]:
    """Find the class, the folder and the full configuration."""
    if isinstance(config, Path):
        config = EncoderConfig(name=str(config))
    if stub_seed(config.name) is not None and not ((base or Path()) / config.name).is_dir():
        return _class(ENCODERS["tidemark_stub.json"]), None, config
    folder = locate(config, base)
    for marker, target in ENCODERS.items():
        if (folder / marker).is_file():
            return _class(target), folder, config
    raise ValueError(f"{folder} is not the folder of an encoder: it has none of {', '.join(ENCODERS)}")


def _class(target: str) -> EncoderClass:
    """Import a class named `module:Class`."""
    module, _, name = target.partition(":")
    found: EncoderClass = getattr(importlib.import_module(module), name)
    return found
