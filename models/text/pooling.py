"""From token vectors to one vector: the pooling modes, dense layers and norms of sentence-transformers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from models.weights import weight_files

if TYPE_CHECKING:
    import torch

    from models.text.layout import Module

__all__ = ["head", "head_fits", "pool"]

Head = Callable[["torch.Tensor"], "torch.Tensor"]

MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
ACTIVATIONS = {
    "torch.nn.modules.activation.GELU": "gelu",
    "torch.nn.modules.activation.ReLU": "relu",
    "torch.nn.modules.activation.Sigmoid": "sigmoid",
    "torch.nn.modules.activation.Tanh": "tanh",
    "torch.nn.modules.linear.Identity": "",
}
TANH = "torch.nn.modules.activation.Tanh"  # what sentence-transformers takes when a file names none


def pool(tokens: torch.Tensor, lengths: torch.Tensor, modes: tuple[str, ...]) -> torch.Tensor:
    """Pool token vectors; the modes' results are put side by side.

    Args:
        tokens: Shape (texts, tokens, width), padded on the right.
        lengths: Tokens of each text.
        modes: Names as in sentence-transformers.

    Returns:
        Shape (texts, width * modes).
    """
    import torch

    places = torch.arange(tokens.shape[1], device=tokens.device)
    mask = (places < lengths[:, None]).to(tokens.dtype)[..., None]
    counts = lengths.to(tokens.dtype)[:, None]
    parts = []
    for mode in modes:
        if mode == "cls":
            part = tokens[:, 0]
        elif mode == "max":
            part = tokens.masked_fill(mask == 0, float("-inf")).amax(1)
        elif mode == "lasttoken":
            part = tokens[torch.arange(len(tokens), device=tokens.device), lengths - 1]
        elif mode == "weightedmean":
            weights = mask * (places + 1)[:, None]
            part = (tokens * weights).sum(1) / weights.sum(1)
        else:
            total = (tokens * mask).sum(1)
            part = total / (counts if mode == "mean" else counts.sqrt())
        parts.append(part)
    return torch.cat(parts, dim=-1)


def head_fits(modules: tuple[Module, ...]) -> bool:
    """Say whether the modules after the transformer are all computed here."""
    pooling, *rest = modules or (None,)
    return (
        pooling is not None
        and pooling.kind == "Pooling"
        and set(pooling.modes) <= set(MODES)
        and pooling.config.get("include_prompt", True)
        and all(_fits(module) for module in rest)
    )


def head(modules: tuple[Module, ...], device: str, dtype: torch.dtype) -> list[Head]:
    """Load what follows the pooling as functions from (texts, width) to (texts, width)."""
    return [_normalised if module.kind == "Normalize" else _dense(module, device, dtype) for module in modules]


def _fits(module: Module) -> bool:
    if module.kind == "Normalize":
        return not module.config or set(module.config.values()) == {"sentence_embedding"}
    return (
        module.kind == "Dense"
        and module.config.get("activation_function", TANH) in ACTIVATIONS
        and not module.config.get("use_residual")
        and module.config.get("module_input_name", "sentence_embedding") == "sentence_embedding"
        and module.config.get("module_output_name") in (None, "sentence_embedding")
        and bool(weight_files(module.folder))
    )


def _normalised(vectors: torch.Tensor) -> torch.Tensor:
    from torch.nn import functional

    return functional.normalize(vectors, dim=-1)


def _dense(module: Module, device: str, dtype: torch.dtype) -> Head:
    """Load a dense layer."""
    import torch
    from safetensors.torch import load_file

    tensors = load_file(weight_files(module.folder)[0], device=device)
    weight = tensors["linear.weight"].to(dtype)
    bias = tensors["linear.bias"].to(dtype) if "linear.bias" in tensors else None
    name = ACTIVATIONS[module.config.get("activation_function", TANH)]
    activate: Head | None = getattr(torch.nn.functional, name) if name else None

    def dense(vectors: torch.Tensor) -> torch.Tensor:
        projected = torch.nn.functional.linear(vectors, weight, bias)
        return activate(projected) if activate else projected

    return dense
