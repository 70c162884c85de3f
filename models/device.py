"""Choose the device that a network runs on."""

from __future__ import annotations

from typing import Literal

from models.errors import ModelError

__all__ = ["Device", "choose_device"]

Device = Literal["auto", "cpu", "cuda", "mps"]


def choose_device(wanted: Device) -> str:
    """Choose the device of an encoder, which is also where it is trained.

    Args:
        wanted: `encoder.device`; `auto` takes the first that there is of cuda, mps and cpu.

    Raises:
        ModelError: The machine has no such device.
    """
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        return next(name for name, available in there.items() if available)
    if not there[wanted]:
        raise ModelError(f'encoder.device "{wanted}": this machine has none; choose "auto" or "cpu"')
    return wanted
