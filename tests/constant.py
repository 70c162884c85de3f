"""An encoder of a kind of its own: what another one takes is such a module and a row of the table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from models.config import EncoderConfig
from models.encoder import OnProgress, Vectors
from models.space import Modality, Space, digest
from models.text.tokenizer import WordTokenizer

__all__ = ["FILE", "Constant"]

FILE = "constant.json"


class Constant:
    """Every text has the vector that the file says."""

    modality: Modality = "text"

    def __init__(self, space: Space, vector: list[float]) -> None:
        self.space = space
        self.vector = vector

    @classmethod
    def identify(cls, folder: Path | None, config: EncoderConfig) -> Space:
        """Tell the space by the vector."""
        vector = _read(folder)
        return Space(
            name="constant",
            modality="text",
            dimension=len(vector),
            window=32,
            pooling="none",
            normalise=True,
            query_prompt="",
            document_prompt="",
            weights=digest(vector),
            tokenizer=WordTokenizer.digest,
            network="",
        )

    @classmethod
    def tokenizer(cls, folder: Path | None) -> WordTokenizer:
        """Make the tokenizer of words."""
        return WordTokenizer()

    @classmethod
    def open(cls, folder: Path | None, config: EncoderConfig, space: Space) -> Self:
        """Read the vector."""
        return cls(space, _read(folder))

    @classmethod
    def files(cls, folder: Path | None, config: EncoderConfig, space: Space) -> dict[str, Path | dict[str, Any]]:
        """List the file."""
        assert folder is not None
        return {FILE: folder / FILE}

    def encode_documents(self, texts: Sequence[str], progress: OnProgress | None = None) -> Vectors:
        """Give the vector for each text."""
        return np.array([self.vector] * len(texts), dtype=np.float32).reshape(len(texts), len(self.vector))

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Give the vector for each text."""
        return self.encode_documents(texts)


def _read(folder: Path | None) -> list[float]:
    assert folder is not None
    vector: list[float] = json.loads((folder / FILE).read_text())
    return vector
