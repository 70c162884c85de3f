"""Cut documents into chunks that fit the encoder, at places that an edit elsewhere does not move."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.tokenizer import TextTokenizer
from storage.errors import InputError

__all__ = ["CHUNKER_VERSION", "Chunk", "ChunkerConfig", "chunk_texts", "fingerprint"]

# Raise it with every change of what `chunk_texts` returns: it is in the fingerprint.
CHUNKER_VERSION = "1"


class ChunkerConfig(BaseModel):
    """How documents are cut: section `[chunker]` of the configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_tokens: int = Field(
        default=128, ge=1, description="Tokens that a chunk has at least, unless its document is shorter."
    )
    max_tokens: int | None = Field(
        default=256,
        ge=2,
        description="Tokens that a chunk has at most; the encoder's window (less its special tokens) where that is "
        "less, or where none is given.",
    )

    @model_validator(mode="after")
    def _check_sizes(self) -> Self:
        if self.max_tokens is not None and self.min_tokens > self.max_tokens // 2:
            raise ValueError(
                f"min_tokens = {self.min_tokens} is over half of max_tokens = {self.max_tokens}: a longer text "
                f"could not be cut in two; set min_tokens to {self.max_tokens // 2} or less"
            )
        return self

    def fit(self, window: int) -> ChunkerConfig:
        """Return the sizes that hold for an encoder: never over its window, and the least at most half of that.

        Args:
            window: Tokens that the encoder reads, less its special tokens.
        """
        top = window if self.max_tokens is None else min(self.max_tokens, window)
        return ChunkerConfig(min_tokens=max(1, min(self.min_tokens, top // 2)), max_tokens=top)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A span of a document: `text == document[start:end]`."""

    text: str
    start: int
    end: int
    ordinal: int
    tokens: int


def fingerprint(config: ChunkerConfig, tokenizer_digest: str, max_tokens: int) -> str:
    """Return the identity of the chunking: 32 hex characters over all that decides which chunks a text gives.

    Args:
        config: The chunker's parameters, as configured.
        tokenizer_digest: Identity of the tokenizer that counts.
        max_tokens: Tokens that the encoder reads, less its special tokens.
    """
    fitted = config.fit(max_tokens)
    return ""


def chunk_texts(
    texts: Sequence[str], tokenizer: TextTokenizer, config: ChunkerConfig, window: int
) -> list[list[Chunk]]:
    """Cut normalised texts into chunks.

    Args:
        texts: Normalised texts.
        tokenizer: The encoder's tokenizer.
        config: The chunker's parameters.
        window: Tokens that the encoder reads, less its special tokens.

    Returns:
        The chunks of each text, in order; none for a text without visible characters.
    """
    return []
