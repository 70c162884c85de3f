"""The card of a trained encoder."""

from __future__ import annotations

import yaml

from models.training.card import Card, write_card
from models.training.recipe import Recipe

CARD = Card(
    name="tiny tuned",
    parent="tiny",
    parent_space="a" * 32,
    space="b" * 32,
    recipe=Recipe(steps=24, seed=7),
    data={"documents": "version 3", "pairs": 1601},
    metrics={"docs, nDCG@10": (0.72, 0.655)},
    licence="apache-2.0",
    digests={"weights": "c" * 32, "tokenizer": "d" * 32},
)


def test_a_card_says_parent_recipe_data_results_licence_and_digests() -> None:
    text = write_card(CARD)

    header = yaml.safe_load(text.split("---")[1])
    assert header["license"] == "apache-2.0"
    assert header["base_model"] == "tiny"
    assert header["library_name"] == "sentence-transformers"
    for line in (
        f"| space | {'b' * 32} |",
        f"| parent | {'a' * 32} |",
        f"| weights | {'c' * 32} |",
        "| docs, nDCG@10 | 0.7200 | 0.6550 |",
        "| pairs | 1601 |",
        "| learning_rate | 0.0001 |",
        "| steps | 24 |",
        "| seed | 7 |",
    ):
        assert line in text.splitlines()


def test_names_with_signs_of_markdown_and_yaml_stay_in_their_place() -> None:
    odd = Card(**{**vars(CARD), "name": 'a: "b" | c\nlicense: none', "metrics": {}})

    text = write_card(odd)

    assert yaml.safe_load(text.split("---")[1])["model_name"] == odd.name
    assert "\nlicense: none" not in text
    assert "## Results" not in text
