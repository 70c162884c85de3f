"""The average of two encoders of one shape: what was learned, with less of what was forgotten."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path

from models.encoder import resolve
from models.errors import ModelError
from models.text.layout import read_layout
from models.training.export import rename
from models.weights import weight_files

__all__ = ["average"]


def average(a: Path, b: Path, destination: Path, weight: float = 0.5, name: str | None = None) -> Path:
    """Average the weights of an encoder and of one that was trained from it (Wortsman et al., 2022, WiSE-FT).

    Args:
        a: The base; everything beside the weights is its.
        b: The trained encoder.
        destination: The folder of the average, which is replaced if it exists.
        weight: Of `b`: 0 gives the weights of `a`, 1 those of `b`.
        name: Name of the average, for people; b's and "averaged" if None.

    Returns:
        The destination.

    Raises:
        ModelError: the two are not of one shape, as a student and its teacher are not.
    """
    base, other = resolve(a), resolve(b)
    if (base.space.network, base.space.tokenizer) != (other.space.network, other.space.tokenizer):
        raise ModelError(
            f"{a} and {b} are not of one shape, as a student and its teacher are not: they have no average"
        )
    unfinished = destination.with_name(f"{destination.name}.part")
    for folder in (unfinished, destination):
        shutil.rmtree(folder, ignore_errors=True)
    base.export(unfinished)
    # Modules by their folder: a bare transformer and its pooling share one, whose weights are averaged once.
    mine = {module.folder: number for number, module in enumerate(read_layout(unfinished).modules)}
    theirs = read_layout(b).modules
    for folder, number in mine.items():
        _mix(folder, theirs[number].folder, weight)
    rename(unfinished, name or f"{other.space.name} averaged")
    unfinished.replace(destination)
    return destination


def _mix(folder: Path, other: Path, weight: float) -> None:
    """Average the weights of one module into its folder."""
    import torch
    from safetensors.torch import load_file, save_file

    learned: dict[str, torch.Tensor] = {}
    for file in weight_files(other):
        learned |= load_file(file)
    taken: set[str] = set()
    for file in weight_files(folder):
        mixed = load_file(file)
        for name, tensor in mixed.items():
            partner = _partner(name, learned)
            # What only the base has, such as a head of its pre-training, stays as it is.
            if partner is None or not tensor.is_floating_point():
                continue
            if learned[partner].shape != tensor.shape:
                raise ModelError(f"{other}: {partner} has another shape than in its base: they have no average")
            taken.add(partner)
            pair = (tensor.float() * (1 - weight), learned[partner].float() * weight)
            mixed[name] = (pair[0] + pair[1]).to(torch.promote_types(tensor.dtype, learned[partner].dtype))
        save_file(mixed, file, {"format": "pt"})
    missed = sorted(name for name, tensor in learned.items() if tensor.is_floating_point() and name not in taken)
    if missed:
        raise ModelError(f"{other} has weights that its base has not, for example {missed[0]}: they have no average")


def _partner(name: str, others: Collection[str]) -> str | None:
    """Find the same weight under the name that it has in another file: old files put `bert.` before it."""
    if name in others:
        return name
    return next((other for other in others if other.endswith(f".{name}") or name.endswith(f".{other}")), None)
