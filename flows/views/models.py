"""Draws the models that a store keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from flows.views.look import age
from flows.views.parts import clean, size, steps, table

if TYPE_CHECKING:
    from storage.catalogue import CataloguedModel

__all__ = ["models_view"]

SHOWN = 3  # figures of a model, and releases that use it


def models_view(models: Sequence[CataloguedModel], now: datetime | None = None) -> RenderableType:
    """Draw the models, newest first: what each is, what it was trained from, what it reached, who uses it."""
    if not models:
        return Group(Text("the store keeps no model yet"), steps(["tidemark refresh"], "start with:"))
    made = table(
        "space", "name", "kind", "trained from", "created", "measured", "releases", "size",
        right=(7,), optional=("releases", "created", "size", "kind", "trained from", "measured"),
    )  # fmt: skip
    for model in models:
        created = "" if model.created is None else age(model.created, now)
        more = len(model.releases) - SHOWN
        named = (f"{seq} (bridged)" if seq in model.bridged else str(seq) for seq in model.releases[:SHOWN])
        used = ", ".join(named) + (f" and {more} more" if more > 0 else "")
        made.add_row(
            model.space[:12],
            clean(model.name),
            model.kind,
            (model.parent or "")[:12],
            created,
            _figures(model.metrics),
            used or "none",
            size(model.bytes),
        )
    return Group(Text(""), made, steps([f"tidemark models show {models[0].space[:12]}"], ""))


def _figures(metrics: Mapping[str, object]) -> str:
    """The first figures, as they are."""
    flat = [(name, value) for name, value in metrics.items() if isinstance(value, int | float)]
    return ", ".join(f"{name} {value:.3f}" for name, value in flat[:SHOWN])
