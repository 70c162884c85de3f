"""What is learned from, what is measured with, and what a challenger must reach."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from models.training.recipe import Recipe

__all__ = ["EvaluationConfig", "GeneratorConfig", "LearningConfig", "PairsConfig", "QualityConfig"]

STRICT = ConfigDict(extra="forbid", frozen=True)


class EvaluationConfig(BaseModel):
    """A set of judged questions: a table `[[evaluation]]`."""

    model_config = STRICT

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", description="Name of the set.")
    path: Path = Field(
        description="A folder in BEIR's format: queries.jsonl and qrels/test.tsv, with dev.tsv and train.tsv where "
        "there are some; or a file of TREC qrels beside queries.jsonl."
    )
    source: str | None = Field(
        default=None,
        description="The source whose documents the judgements name, and that is searched; all if not set.",
    )
    role: Literal["target", "general"] = Field(
        default="target", description='"target" is to become better; "general" only bounds forgetting.'
    )


class PairsConfig(BaseModel):
    """Where pairs of questions and passages come from: section `[learning.pairs]`."""

    model_config = STRICT

    kinds: tuple[Literal["queries", "titles", "headings", "docstrings", "judged", "feedback", "synthetic"], ...] = (
        Field(
            default=("queries", "titles", "headings", "docstrings", "judged", "feedback", "synthetic"),
            description="Kinds of pairs that are taken, where there are any.",
        )
    )
    feedback: tuple[Path, ...] = Field(
        default=(), description="Logs of searches, JSONL or Parquet, with query, shown and clicked document."
    )
    dev: float = Field(default=0.1, gt=0, lt=0.5, description="Share of the groups whose pairs choose, not train.")
    test: float = Field(default=0.2, gt=0, lt=0.5, description="Share of the groups whose pairs judge.")
    most: int = Field(default=100_000, ge=1, description="Pairs at most.")


class GeneratorConfig(BaseModel):
    """A model that writes questions for passages: section `[learning.generator]`; off unless it is there."""

    model_config = STRICT

    model: str = Field(min_length=1, description="Name or folder of a local seq2seq model, or the endpoint's model.")
    url: str | None = Field(default=None, description="An OpenAI-compatible endpoint; a local model if not set.")
    key: SecretStr | None = Field(default=None, description="Its key; better TIDEMARK_LEARNING__GENERATOR__KEY.")
    questions: int = Field(default=1_000, ge=1, description="Questions to be written, one a passage.")
    price: float = Field(default=0, ge=0, description="Price of a million tokens, in and out, for `plan`.")


class LearningConfig(Recipe):
    """How a better encoder is made: section `[learning]`."""

    pairs: PairsConfig = Field(default_factory=PairsConfig, description="Where pairs come from.")
    generator: GeneratorConfig | None = Field(default=None, description="A model that writes questions.")
    rerankers: tuple[str, ...] = Field(
        default=(),
        description='Re-rankers that `retrain` tries where target sets have dev and test questions: "fusion" weighs '
        'vectors, words and late interaction as dev questions teach; "late" is late interaction alone; "cross" is a '
        "cross-encoder trained from the pairs; any other is the name or the folder of a cross-encoder.",
    )
    cross_steps: int | None = Field(
        default=None,
        ge=1,
        description="Exactly so many steps of a cross-encoder; if not set, as many as fit into learning.minutes.",
    )
    approval: bool = Field(default=False, description="Ask a person before a challenger is published.")


class QualityConfig(BaseModel):
    """What a release must reach to be published: section `[quality]`."""

    model_config = STRICT

    min_gain: float = Field(
        default=0.01, description="nDCG@10 by which a challenger must be better on the target questions."
    )
    confidence: float = Field(default=0.95, gt=0.5, lt=1, description="Of every interval.")
    max_forgetting: float = Field(
        default=0.02, ge=0, description="nDCG@10 that a challenger may lose on each general set."
    )
    max_slice_loss: float = Field(
        default=0.03, ge=0, description="nDCG@10 that a slice of the target questions may surely lose."
    )
    max_latency: float = Field(default=1.5, gt=0, description="Times the milliseconds a query of the champion.")
    max_rerank_ms: float = Field(
        default=100, gt=0, description="Milliseconds a query that a re-ranker may take on the machine that judges it."
    )
    max_compression_loss: float = Field(
        default=0.005, ge=0, description="nDCG@10 that smaller vectors may surely lose against float32."
    )
    max_size: float = Field(default=1.5, gt=0, description="Times the bytes of the champion's weights.")
    min_ndcg: float | None = Field(
        default=None, ge=0, le=1, description="nDCG@10 on the target questions below which no release is published."
    )
    max_drop: float = Field(
        default=0.02, ge=0, description="nDCG@10 that a nightly release may surely lose against the one before."
    )
    max_decay: float | None = Field(
        default=None,
        ge=0,
        description="nDCG@10 that nights together may surely lose against the release that brought the encoder; if "
        "not set, a loss beyond max_drop is an alarm and stops nothing.",
    )
