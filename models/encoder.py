"""What an encoder is, and the handle of a configured one: found once a run, then identified, opened and exported."""

from __future__ import annotations

import importlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from models.config import EncoderConfig, locate
from models.errors import DamagedModel, ModelError
from models.links import refuse_links
from models.space import Modality, Space
from models.vectors import Vectors

__all__ = [
    "ENCODERS",
    "NORM_TOLERANCE",
    "STUB_FILE",
    "Encoder",
    "EncoderClass",
    "EncoderFolder",
    "OnProgress",
    "Progress",
    "Spans",
    "TextTokenizer",
    "Vectors",
    "check_vectors",
    "resolve",
]

Spans = npt.NDArray[np.int64]

STUB_FILE = "tidemark_stub.json"
# The file that tells each kind of folder, and its class; the first that fits is taken. A row and its module are all
# that another kind of encoder takes.
ENCODERS: dict[str, str] = {
    STUB_FILE: "models.text.stub:StubEncoder",
    "modules.json": "models.text.sentence:SentenceEncoder",
    "config.json": "models.text.sentence:SentenceEncoder",
}
# Of a unit norm, for what an encoder hands over and for what an audit finds in a table: float32 arithmetic leaves 1e-6,
# and a table keeps float32 as it is.
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


class TextTokenizer(Protocol):
    """What the chunker asks of a tokenizer."""

    @property
    def digest(self) -> str:
        """Identity of the tokenizer: 32 hex characters."""

    def spans(self, texts: Sequence[str]) -> list[Spans]:
        """Return the character spans (start, end) of each text's tokens, shape (tokens, 2), without special tokens."""

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text, without special tokens."""


class Encoder(Protocol):
    """Turns texts into vectors of one space."""

    space: Space

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
    """What a class of the table of encoders offers; `folder` is None for a stub that only a name tells."""

    def identify(self, folder: Path | None, config: EncoderConfig) -> Space:
        """Compute the space from files alone: in a fraction of a second, without torch."""

    def tokenizer(self, folder: Path | None) -> TextTokenizer:
        """Open the tokenizer that counts and cuts for the encoder, without the encoder."""

    def open(self, folder: Path | None, config: EncoderConfig, space: Space) -> Encoder:
        """Load the encoder, of which `identify` said that it is of this space."""

    def files(self, folder: Path | None, config: EncoderConfig, space: Space) -> dict[str, Path | dict[str, Any]]:
        """List what an export needs: a path to copy, or the content of a JSON file, by its name in the folder."""


# Size, times and place of each file: what any change of its content leaves a trace in.
Stamp = dict[Path, tuple[int, int, int, int]]


@dataclass(frozen=True)
class EncoderFolder:
    """A configured encoder that was found, and whose weights were digested: once, however often it is asked.

    Attributes:
        config: The encoder section.
        folder: The folder of its files; None for a stub that only its name tells.
        revision: Commit of the hub that the files are of; None for a package, a folder or a stub.
        space: Its vector space, as the files were when it was found.
        kind: The class that the table of encoders names for it.
        stamp: What the files looked like before they were digested.
    """

    config: EncoderConfig
    folder: Path | None
    revision: str | None
    space: Space
    kind: EncoderClass = field(repr=False)
    stamp: Stamp = field(repr=False)

    def tokenizer(self) -> TextTokenizer:
        """Open the tokenizer that counts and cuts for it, in milliseconds and without torch.

        Raises:
            DamagedModel: it has no tokenizer that can be read.
        """
        return self.kind.tokenizer(self.folder)

    def open(self) -> Encoder:
        """Load it.

        Returns:
            The encoder, with the space of the files as they are now: another one than `space` where they changed since.

        Raises:
            ModelError: the folder is damaged, or the machine has not the device that is asked for.
        """
        # Weights are not digested again where no file was touched; the time of a change (ctime) cannot be set back.
        untouched = _stamp(self.folder) == self.stamp
        space = self.space if untouched else self.kind.identify(self.folder, self.config)
        return self.kind.open(self.folder, self.config, space)

    def export(self, destination: Path) -> Space:
        """Copy just the files that it needs into a folder that opens as the same space.

        Args:
            destination: A folder that is empty or does not exist.

        Returns:
            The space, confirmed on the copy.

        Raises:
            ModelError: the destination is not empty.
            DamagedModel: the copy is not the same: the files changed meanwhile.
        """
        if destination.exists() and any(destination.iterdir()):
            raise ModelError(f"{destination} is not empty: export an encoder to a folder of its own")
        for name, content in self.kind.files(self.folder, self.config, self.space).items():
            target = destination / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, Path):
                shutil.copyfile(content, target)
            else:
                target.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        copied = resolve(destination).space
        if copied != self.space:
            raise DamagedModel(
                f"{destination} holds the space {copied.id}, not {self.space.id}: {self.folder} changed meanwhile"
            )
        return copied


def resolve(config: EncoderConfig | Path, base: Path | None = None) -> EncoderFolder:
    """Find the configured encoder and compute its space, without torch: one look-up, by which the whole run stays.

    Args:
        config: The encoder section, or the folder of an encoder.
        base: The folder that a relative path in the configuration starts from.

    Raises:
        UnknownModel: there is no such encoder.
        DamagedModel: its files are missing, broken or unsafe.
        ModelError: the configuration does not fit it.
    """
    if isinstance(config, Path):
        config = EncoderConfig(name=str(config))
    found = locate(config, base)
    folder, revision = (None, None) if found is None else (found.folder, found.revision)
    if folder is not None:
        refuse_links(folder)
    kind = _class(ENCODERS[STUB_FILE]) if folder is None else _kind(folder)
    stamp = _stamp(folder)  # before the digest: what changes while it is computed counts as a change
    return EncoderFolder(config, folder, revision, kind.identify(folder, config), kind, stamp)


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


def _kind(folder: Path) -> EncoderClass:
    """Find the class of a folder by the file that tells it."""
    for marker, target in ENCODERS.items():
        if (folder / marker).is_file():
            return _class(target)
    raise DamagedModel(f"{folder} is not the folder of an encoder: it has none of {', '.join(ENCODERS)}")


def _class(target: str) -> EncoderClass:
    """Import a class named `module:Class`."""
    module, _, name = target.partition(":")
    found: EncoderClass = getattr(importlib.import_module(module), name)
    return found


def _stamp(folder: Path | None) -> Stamp:
    """Look at every file of a folder without reading it; the hub's cache has links, of which the targets count."""
    if folder is None:
        return {}
    found = ((file, file.stat()) for file in folder.rglob("*") if file.is_file())
    return {file: (state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino) for file, state in found}
