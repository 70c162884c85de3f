"""BERT and RoBERTa in plain torch: the same numbers as transformers, without the ten seconds of its import."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from models.weights import list_tensors, weight_files

if TYPE_CHECKING:
    import torch

    from models.text.layout import Module

__all__ = ["Bert"]

OFFSET_TYPES = ("roberta", "xlm-roberta", "camembert")  # their positions start after the number of the padding token
TYPES = ("bert", *OFFSET_TYPES)
ACTIVATIONS = ("gelu", "relu")
WORDS = "embeddings.word_embeddings.weight"

Layer = dict[str, "torch.Tensor"]


def _names(module: Module) -> list[str]:
    return [tensor.name for file in weight_files(module.folder) for tensor in list_tensors(file)]


@dataclass(frozen=True)
class Bert:
    """The transformer stack, for inference.

    Attributes:
        tensors: Weights by name, without the prefix that some checkpoints have.
        config: The transformer's config.json.
    """

    tensors: dict[str, torch.Tensor]
    config: dict[str, Any]

    @staticmethod
    def fits(module: Module) -> bool:
        """Say whether a module is a stack that this file computes exactly."""
        config = module.config
        return (
            module.kind == "Transformer"
            and config.get("model_type") in TYPES
            and config.get("hidden_act", "gelu") in ACTIVATIONS
            and config.get("position_embedding_type", "absolute") == "absolute"
            and not config.get("is_decoder")
            and not (module.folder / "adapter_config.json").exists()
            and any(name.endswith(WORDS) for name in _names(module))
        )

    @classmethod
    def load(cls, module: Module, device: str, dtype: torch.dtype) -> Self:
        """Load the weights of a module's folder to a device."""
        from safetensors.torch import load_file

        loaded: dict[str, torch.Tensor] = {}
        for file in weight_files(module.folder):
            loaded |= load_file(file, device=device)
        prefix = next(name for name in loaded if name.endswith(WORDS)).removesuffix(WORDS)
        tensors = {
            name.removeprefix(prefix): tensor.to(dtype)
            for name, tensor in loaded.items()
            if name.startswith(prefix) and tensor.is_floating_point()
        }
        return cls(tensors, module.config)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """Compute the token vectors of a batch.

        Args:
            ids: Token numbers, shape (texts, tokens).
            mask: True where a token is no padding, the same shape; None if none is.

        Returns:
            Shape (texts, tokens, width).
        """
        import torch
        from torch.nn import functional

        hidden = self._embed(ids)
        bias = None
        if mask is not None:
            bias = torch.zeros(mask.shape, dtype=hidden.dtype, device=hidden.device)
            bias = bias.masked_fill_(~mask, torch.finfo(hidden.dtype).min)[:, None, None, :]
        activate: Callable[[torch.Tensor], torch.Tensor] = getattr(functional, self.config.get("hidden_act", "gelu"))
        heads = int(self.config["num_attention_heads"])
        for layer in self._layers:
            joint = functional.linear(hidden, layer["attention.weight"], layer["attention.bias"])
            # (texts, tokens, 3 * width) to three times (texts, heads, tokens, width of a head)
            query, key, value = joint.view(*ids.shape, 3, heads, -1).permute(2, 0, 3, 1, 4)
            context = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
            hidden = self._closed(layer, "attention.output", context.transpose(1, 2).flatten(2), hidden)
            inner = activate(
                functional.linear(hidden, layer["intermediate.dense.weight"], layer["intermediate.dense.bias"])
            )
            hidden = self._closed(layer, "output", inner, hidden)
        return hidden

    def _embed(self, ids: torch.Tensor) -> torch.Tensor:
        """Add up the embeddings of words, positions and the only segment."""
        tables = self.tensors
        offset = 0
        if self.config["model_type"] in OFFSET_TYPES:
            offset = int(self.config.get("pad_token_id", 1)) + 1
        hidden = tables[WORDS][ids]
        hidden = hidden + tables["embeddings.token_type_embeddings.weight"][0]
        hidden = hidden + tables["embeddings.position_embeddings.weight"][offset : offset + ids.shape[1]]
        return self._norm(tables, "embeddings.LayerNorm", hidden)

    def _closed(self, layer: Layer, name: str, inner: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        """Close a block: project, add the input, normalise."""
        from torch.nn import functional

        added = functional.linear(inner, layer[f"{name}.dense.weight"], layer[f"{name}.dense.bias"]).add_(hidden)
        return self._norm(layer, f"{name}.LayerNorm", added)

    def _norm(self, layer: Layer, name: str, hidden: torch.Tensor) -> torch.Tensor:
        from torch.nn import functional

        epsilon = float(self.config.get("layer_norm_eps", 1e-12))
        return functional.layer_norm(
            hidden, hidden.shape[-1:], layer[f"{name}.weight"], layer[f"{name}.bias"], eps=epsilon
        )

    @cached_property
    def _layers(self) -> list[Layer]:
        """The weights of each layer, those of query, key and value put together into one product."""
        import torch

        layers = []
        for number in range(int(self.config["num_hidden_layers"])):
            start = f"encoder.layer.{number}."
            layer = {name[len(start) :]: tensor for name, tensor in self.tensors.items() if name.startswith(start)}
            for kind in ("weight", "bias"):
                parts = [layer.pop(f"attention.self.{part}.{kind}") for part in ("query", "key", "value")]
                layer[f"attention.{kind}"] = torch.cat(parts)
            layers.append(layer)
        return layers
