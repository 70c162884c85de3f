"""What an encoder gave when the vectors of its space were made: the canaries that a night kept, else its probe."""

from __future__ import annotations

import numpy as np

from models.encoder import Encoder
from models.probe import PROBE_TEXTS, change, compare
from storage.registry import Registry
from storage.tables.canaries import Canaries, Canary
from storage.tables.store import Store

__all__ = ["PROBE", "confirm_reference", "reference", "still_gives"]

PROBE = "probe.npy"


def reference(store: Store, space: str) -> Canary | None:
    """What the vectors of a space are compared with; None where the store does not keep its encoder.

    Canaries are newer than the probe, or are what somebody accepted in its place.
    """
    registry = Registry(store)
    if not registry.has(space):
        return None
    kept = Canaries(store).get(space)
    if kept is not None:
        return kept
    stored = np.load(registry.fetch(space) / PROBE, allow_pickle=False)
    return Canary(PROBE_TEXTS, stored[: len(PROBE_TEXTS)])  # the others are the same texts as queries


def confirm_reference(store: Store, opened: Encoder) -> None:
    """Check that an encoder gives the vectors that the store's were made with, where the store keeps it.

    Raises:
        ProbeMismatch: It does not.
    """
    held = reference(store, opened.space.id)
    if held is not None:
        compare(held.vectors, opened.encode_documents(held.texts), opened.space)


def still_gives(store: Store, opened: Encoder) -> bool:
    """Whether an encoder gives the vectors that the store's were made with; so it does where there are none."""
    held = reference(store, opened.space.id)
    return held is None or change(held.vectors, opened.encode_documents(held.texts)).within()
