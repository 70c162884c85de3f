"""The identity of a vector space: what two vectors must have in common to be compared."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from functools import cached_property
from hashlib import blake2b
from typing import Any, Literal

__all__ = ["Modality", "Space", "digest"]

Modality = Literal["text", "image", "audio"]
FORMAT = 1  # of the identity itself: raised when its ingredients change


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

    def to_json(self) -> str:
        """Write it as a JSON object with sorted keys, the id among them."""
        return json.dumps({"id": self.id, **asdict(self)}, sort_keys=True)


def digest(content: Any) -> str:
    """Hash JSON content, whatever the order of its keys, to 32 hex characters."""
    return blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=16).hexdigest()
