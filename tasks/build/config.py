"""What a user sets of cutting and indexing: sections `[chunker]` and `[index]`."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from storage.tables.roles import Kind, Precision

__all__ = ["ChunkerConfig", "IndexConfig"]


class ChunkerConfig(BaseModel):
    """How documents are cut: section `[chunker]` of the configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_tokens: int = Field(
        default=48,
        ge=1,
        description="Tokens that a chunk has at least, unless its document is short or its sentences are long. "
        "The more, the larger the chunks, and the more of them an edit changes.",
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


class IndexConfig(BaseModel):
    """The search index and what it must reach: section `[index]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_rows: int = Field(
        default=10_000, ge=256, description="Chunks below which every search is exact, without an index."
    )
    precision: Precision = Field(
        default="float32",
        description='In what the table keeps vectors: "float16" halves it. A change encodes nothing and is published '
        "only if it loses no more than quality.max_compression_loss; on the way back to float32 what no kept release "
        "holds in float32 is embedded again.",
    )
    kind: Kind = Field(
        default="binary",
        description='How the index keeps vectors: "flat" whole, "int8" in a byte a number, "binary" in a bit a number '
        "(RaBitQ); the best of a search are compared again with the vectors of the table. Gated as precision is.",
    )
    nprobes: int = Field(default=80, ge=1, description="Cells of the index that a search looks into.")
    refine_factor: int = Field(
        default=10,
        ge=1,
        description="Candidates, as a multiple of k, that a search compares again with their full vectors.",
    )
    recall_floor: float = Field(
        default=0.9, ge=0, le=1, description="Recall@10 against exact search below which the audit refuses a release."
    )
    probe_queries: int = Field(default=20, ge=1, description="Queries with which the audit measures that recall.")
    text: bool = Field(default=True, description="A full-text index beside the vectors, for searches by words.")
    tokenizer: Literal["icu/split", "icu", "simple"] = Field(
        default="icu/split",
        description='What cuts texts into words: "icu/split" knows languages without spaces and finds the parts of '
        'names like os.path or snake_case; "icu" keeps such names whole; "simple" cuts at all but letters and digits.',
    )
