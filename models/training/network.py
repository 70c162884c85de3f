"""The network in training: loaded from a base, made shorter, given adapters, and its trained part saved."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.errors import DamagedModel, ModelError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from torch import nn

__all__ = ["Network", "load_base", "load_state", "save_state", "shorten", "with_lora"]


@dataclass(frozen=True)
class Network:
    """A network in training.

    Attributes:
        model: All of it.
        adapters: What merges the adapters into it; None where all weights are trained.
    """

    model: SentenceTransformer
    adapters: Any = None

    def merged(self) -> SentenceTransformer:
        """Put the adapters, if any, into the weights that they adapt, and give the plain model."""
        if self.adapters is not None:
            self.adapters.merge_and_unload()
        return self.model


def load_base(folder: Path, device: str) -> SentenceTransformer:
    """Load a folder, which is only read, with float32 weights.

    Raises:
        ModelError: it has weights that cannot be trained on their own.
    """
    import torch
    from sentence_transformers import SentenceTransformer

    if any(folder.rglob("adapter_config.json")):
        raise ModelError(f"{folder} is an adapter over another model: merge it into that one, and train the result")
    return SentenceTransformer(
        str(folder),
        device=device,
        local_files_only=True,
        trust_remote_code=False,
        model_kwargs={"use_safetensors": True, "dtype": torch.float32},
    )


def shorten(model: SentenceTransformer, layers: int) -> None:
    """Keep so many layers of the transformer, evenly chosen, the first and the last among them.

    Raises:
        ModelError: it has no more layers than that.
    """
    import numpy as np
    from torch.nn import ModuleList

    network: Any = getattr(model[0], "model", None)
    total = int(getattr(getattr(network, "config", None), "num_hidden_layers", 0))
    if layers >= total:
        raise ModelError(f"learning.layers {layers}: the encoder has {total}; a student has fewer")
    kept = np.linspace(0, total - 1, layers).round().astype(int)
    stacks = {name: part for name, part in network.named_modules() if isinstance(part, ModuleList)}
    for name, stack in stacks.items():
        if len(stack) == total:
            network.set_submodule(name, ModuleList([stack[number] for number in kept]))
    network.config.num_hidden_layers = layers


def with_lora(model: SentenceTransformer, rank: int) -> Network:
    """Freeze the model and put low-rank adapters beside every linear layer of its transformer.

    LoRA: Hu et al., 2021, in the implementation of peft; scaled by 2, whatever the rank. The layers are replaced in
    place: a wrapper around the network would have another signature, by which the token types get lost.
    """
    from peft import LoraConfig
    from peft.tuners.lora import LoraModel

    config = LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules="all-linear")
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return Network(model, LoraModel(model[0].model, config, "default"))


def save_state(model: nn.Module, file: Path) -> None:
    """Write all weights that are trained, whole or not at all."""
    from safetensors.torch import save_file

    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f"{file.name}.part")
    save_file({name: weight.detach().cpu().contiguous() for name, weight in _trained(model).items()}, unfinished)
    unfinished.replace(file)


def load_state(model: nn.Module, file: Path) -> None:
    """Read back what `save_state` wrote for a model that was built in the same way.

    Raises:
        DamagedModel: it was built in another way.
    """
    import torch
    from safetensors.torch import load_file

    found, wanted = load_file(file), _trained(model)
    if found.keys() != wanted.keys():
        raise DamagedModel(f"{file} holds {len(found)} weights, the network trains {len(wanted)} others: remove {file}")
    with torch.no_grad():
        for name, weight in wanted.items():
            weight.copy_(found[name])


def _trained(model: nn.Module) -> dict[str, Any]:
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
