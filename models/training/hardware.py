"""How training runs: threads, precision, operations that repeat, and libraries that neither talk nor draw bars."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from models.errors import ModelError
from models.training.recipe import Recipe

__all__ = ["quiet", "repeatable", "wants_bfloat16"]

UNREPEATABLE = "does not have a deterministic implementation"  # how torch says it


def wants_bfloat16(recipe: Recipe, device: str) -> bool:
    """Say whether to compute in bfloat16.

    Raises:
        ModelError: it is asked for, and the device cannot.
    """
    import torch

    if recipe.precision == "float32":
        return False
    if device == "cuda":
        able = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        found = torch.cpu.get_capabilities()
        able = device == "cpu" and any(found.get(name) for name in ("avx512_bf16", "amx_bf16", "sve_bf16", "bf16"))
    # A CPU without the instructions gives the same numbers, slowly.
    if recipe.precision == "bfloat16" and not able and device != "cpu":
        raise ModelError(f'learning.precision "bfloat16": {device} has no such arithmetic; choose "auto" or "float32"')
    return able or recipe.precision == "bfloat16"


@contextmanager
def repeatable(device: str, threads: int | None) -> Iterator[int]:
    """Have torch take so many threads, and on a GPU operations that repeat; what was set before is set back.

    Yields:
        The number of threads: other numbers give other sums, and so other weights.

    Raises:
        ModelError: the network has an operation that does not repeat on a GPU.
    """
    import torch

    before = torch.get_num_threads()
    mode = torch.get_deterministic_debug_mode()
    if threads is not None:
        torch.set_num_threads(threads)
    if device == "cuda":
        # An error and not a warning: under a warning attention keeps its gradients that do not repeat.
        torch.set_deterministic_debug_mode("error")
    try:
        yield torch.get_num_threads()
    except RuntimeError as error:
        if UNREPEATABLE not in str(error):
            raise
        reason = str(error).partition(",")[0]
        raise ModelError(f"training on {device}: {reason}; set encoder.device to cpu, which repeats all") from error
    finally:
        torch.set_num_threads(before)
        torch.set_deterministic_debug_mode(mode)


@contextmanager
def quiet() -> Iterator[None]:
    """Have the libraries draw no bars meanwhile."""
    import datasets
    from transformers.utils import logging

    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        datasets.enable_progress_bars()
        if bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
