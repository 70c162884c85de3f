"""The device that networks run on: what is asked for, if the machine has it."""

from __future__ import annotations

import os
from typing import Literal

from models.errors import ModelError

__all__ = ["Device", "choose_device", "require_device"]

Device = Literal["auto", "cpu", "cuda", "mps"]


def choose_device(wanted: Device, asked_by: str) -> str:
    """Choose a device: `auto` takes a GPU where there is one.

    Args:
        wanted: What is asked for.
        asked_by: Who asks, for the message: the setting.

    Raises:
        ModelError: the machine has no such device.
    """
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    chosen = next(name for name, available in there.items() if available) if wanted == "auto" else wanted
    if not there[chosen]:
        raise ModelError(f'{asked_by} "{chosen}": this machine has none; choose "auto" or "cpu"')
    if chosen == "cuda":
        # Products repeat only with this, and cuBLAS reads it at the first one of the process: an encoder's, long before
        # a training asks for products that repeat.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    return chosen


def require_device(wanted: Device, asked_by: str) -> None:
    """Refuse a device that the machine has not, before anything is read for it.

    What every machine has is not looked for, since to look takes the seconds that torch needs to start.

    Args:
        wanted: What is asked for.
        asked_by: Who asks, for the message: the setting.

    Raises:
        ModelError: the machine has no such device.
    """
    if wanted not in ("auto", "cpu"):
        choose_device(wanted, asked_by)
