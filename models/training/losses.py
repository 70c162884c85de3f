"""The losses: in-batch ranking and its variants, and a student that learns from its teacher."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from models.errors import ModelError
from models.training.recipe import Recipe

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from torch import nn

__all__ = ["distillation", "ranking"]

MINI_BATCH = 32  # texts of the cached loss that are in memory at once


def ranking(model: SentenceTransformer, recipe: Recipe, processes: int) -> nn.Module:
    """Make the loss that ranks the passage of a question before all others of the batch.

    Args:
        model: The network in training.
        recipe: Cached or not, with shorter dimensions or not.
        processes: Over how many devices a batch is spread: passages of all of them are wrong answers.

    Raises:
        ModelError: a shorter dimension is not shorter.
    """
    from sentence_transformers.sentence_transformer import losses

    spread = processes > 1
    loss: nn.Module
    if recipe.cached:
        loss = losses.CachedMultipleNegativesRankingLoss(
            model, mini_batch_size=MINI_BATCH, gather_across_devices=spread
        )
    else:
        loss = losses.MultipleNegativesRankingLoss(model, gather_across_devices=spread)
    if not recipe.matryoshka:
        return loss
    full = int(model.get_embedding_dimension() or 0)
    odd = [length for length in recipe.matryoshka if not 0 < length < full]
    if odd:
        raise ModelError(f"learning.matryoshka {odd[0]}: the encoder has {full} dimensions; give smaller ones")
    return losses.MatryoshkaLoss(model, loss, [full, *sorted(set(recipe.matryoshka), reverse=True)])


def distillation(student: SentenceTransformer, teacher: SentenceTransformer) -> nn.Module:
    """Make the loss of a student whose vectors shall point where its teacher's do: 1 less the mean cosine."""
    import torch
    from torch import nn
    from torch.nn.functional import cosine_similarity

    teacher.eval()

    class Distillation(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = student

        def forward(self, features: list[dict[str, torch.Tensor]], labels: Any) -> torch.Tensor:
            # The teacher is no part of this module: else it would be trained, and saved, too.
            with torch.no_grad():
                wanted = [teacher(dict(feature))["sentence_embedding"] for feature in features]
            found = [self.model(feature)["sentence_embedding"] for feature in features]
            apart = [1 - cosine_similarity(*both).mean() for both in zip(found, wanted, strict=True)]
            return torch.stack(apart).mean()

    return Distillation()
