"""From token vectors to one vector."""

from pathlib import Path

import pytest
import torch

from models.text.layout import Module
from models.text.pooling import MODES, head_fits, pool

TOKENS = torch.tensor([[[1.0, 8.0], [2.0, -4.0], [6.0, 5.0], [9.0, 9.0]]])
BY_HAND = {
    "cls": [1, 8],
    "lasttoken": [6, 5],
    "max": [6, 8],
    "mean": [3, 3],
    "mean_sqrt_len_tokens": [9 / 3**0.5, 9 / 3**0.5],
    "weightedmean": [(1 + 4 + 18) / 6, (8 - 8 + 15) / 6],
}


@pytest.mark.parametrize("mode", MODES)
def test_each_mode_pools_the_tokens_before_the_padding(mode: str) -> None:
    found = pool(TOKENS, torch.tensor([3]), (mode,))
    assert torch.allclose(found, torch.tensor([BY_HAND[mode]], dtype=torch.float32))


def test_several_modes_stand_side_by_side() -> None:
    assert pool(TOKENS, torch.tensor([3]), ("cls", "mean")).tolist() == [[1, 8, 3, 3]]


@pytest.mark.parametrize(
    ("modules", "fits"),
    [
        ([("Pooling", {})], True),
        ([("Pooling", {}), ("Normalize", {})], True),
        ([("Pooling", {"pooling_mode": "learned"})], False),
        ([("Pooling", {"include_prompt": False})], False),
        ([("Pooling", {}), ("Normalize", {"module_input_name": "token_embeddings"})], False),
        ([("Pooling", {}), ("Dense", {"use_residual": True})], False),
        ([("Pooling", {}), ("LSTM", {})], False),
        ([("Normalize", {})], False),
        ([], False),
    ],
)
def test_what_is_not_computed_here_is_known(modules: list[tuple[str, dict[str, object]]], fits: bool) -> None:
    assert head_fits(tuple(Module(kind, Path(), config) for kind, config in modules)) is fits
