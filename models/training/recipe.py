"""How an encoder is trained: one setting a choice, each with the default that held up when it was measured."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Recipe"]


class Recipe(BaseModel):
    """How an encoder is trained: in the section `[learning]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    minutes: float = Field(default=4, gt=0, description="Budget of training; the number of steps follows from it.")
    steps: int | None = Field(default=None, ge=1, description="Exactly so many steps, whatever they take.")
    learning_rate: float = Field(
        default=1e-4, gt=0, description="Peak learning rate; 3e-4 and more forgets what the base encoder knew."
    )
    batch: int = Field(default=64, ge=2, description="Pairs a step; the others of the batch are the wrong answers.")
    max_tokens: int = Field(default=64, ge=8, description="Tokens of a text that training sees.")
    warmup: float = Field(default=0.15, ge=0, lt=1, description="Share of the steps over which the rate rises.")
    epochs: float = Field(default=1, gt=0, description="At most so many times over all pairs.")
    negatives: int = Field(default=0, ge=0, le=16, description="Hard negatives a pair, mined against the own index.")
    cached: bool = Field(
        default=False, description="The loss in small pieces: large batches in little memory, a third slower."
    )
    matryoshka: tuple[int, ...] = Field(
        default=(), description="Shorter dimensions that are trained along, for example [192, 96]."
    )
    lora: int | None = Field(
        default=None,
        ge=1,
        description="Rank of LoRA adapters, merged before export, at ten times the rate; None trains all.",
    )
    layers: int | None = Field(
        default=None, ge=1, description="Distil into a student with so many layers of the encoder before training."
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="float32", description="Arithmetic of training; auto takes bfloat16 where the processor has it."
    )
    patience: int = Field(
        default=3,
        ge=1,
        description="Looks at dev questions, all surely worse than the best, that end it.",
    )
    seed: int = Field(default=0, ge=0, description="Seed of order and dropout.")
