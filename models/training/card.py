"""The card of a trained encoder: what it is, where it comes from, and how well it answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from models.training.recipe import Recipe

__all__ = ["Card", "write_card"]


@dataclass(frozen=True)
class Card:
    """What a card says.

    Attributes:
        name: Name of the encoder.
        parent: Name of what it was trained from.
        parent_space: Identity of the parent's vector space.
        space: Identity of its own vector space.
        recipe: How it was trained.
        data: The data version, and whatever else tells what it was trained on, by name.
        metrics: Results by name, of the encoder and of its parent on the same questions.
        licence: Licence of the parent, as an SPDX tag; "other" where it is not known.
        digests: Digests by what they are of, the weights and the tokenizer among them.
    """

    name: str
    parent: str
    parent_space: str
    space: str
    recipe: Recipe
    data: Mapping[str, str | int]
    metrics: Mapping[str, tuple[float, float]]
    licence: str
    digests: Mapping[str, str]


def write_card(card: Card) -> str:
    """Write README.md of the encoder's folder, with the header that the hub and sentence-transformers read."""
    changed = card.recipe.model_dump(mode="json", exclude_defaults=True)
    settings = {"minutes": card.recipe.minutes, "learning_rate": card.recipe.learning_rate, **changed}
    results = {name: f"{ours:.4f} | {theirs:.4f}" for name, (ours, theirs) in card.metrics.items()}
    parts = [
        _header(card.name, card.parent, card.licence),
        f"# {_plain(card.name)}",
        f"An encoder of text, trained from {_plain(card.parent)} by Tidemark. It opens with `SentenceTransformer`.",
        _table("Identity", ("of", "digest"), {"space": card.space, "parent": card.parent_space, **card.digests}),
        _table("Results", ("measure", f"{card.name} | {card.parent}"), results) if results else "",
        _table("Data", ("what", "value"), card.data),
        _table("Recipe", ("setting", "value"), settings),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _header(name: str, parent: str, licence: str) -> str:
    # JSON strings are YAML strings, whatever stands in them.
    lines = [
        f"license: {json.dumps(licence)}",
        f"model_name: {json.dumps(name)}",
        f"base_model: {json.dumps(parent)}",
        "library_name: sentence-transformers",
        "pipeline_tag: sentence-similarity",
        "tags: [sentence-transformers, sentence-similarity, feature-extraction]",
    ]
    return "\n".join(["---", *lines, "---"])


def _table(title: str, head: tuple[str, str], rows: Mapping[str, object]) -> str:
    wide = " | ".join(_plain(cell) for cell in head[1].split(" | "))
    rule = "|".join(["---"] * (2 + head[1].count(" | ")))
    lines = [f"| {_plain(name)} | {_cells(value)} |" for name, value in rows.items()]
    return "\n".join([f"## {title}", "", f"| {head[0]} | {wide} |", f"|{rule}|", *lines])


def _cells(value: object) -> str:
    return value if isinstance(value, str) and " | " in value else _plain(str(value))


def _plain(text: str) -> str:
    """Keep a text on its line and in its cell."""
    return " ".join(text.split()).replace("|", "\\|")
