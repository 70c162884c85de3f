"""Draws what a hold keeps readers to, for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from flows.views.parts import COLOURS, clean, heading, steps
from storage.outcome import Outcome

if TYPE_CHECKING:
    from flows.hold import HoldResult

__all__ = ["hold_view", "unhold_view"]


def hold_view(result: HoldResult) -> RenderableType:
    """Draw a hold that was placed."""
    return Group(
        heading(_release(result), f"held by {result.holds[0].who}", "held", COLOURS[Outcome.HELD]),
        Text(clean(result.message)),
        steps(["tidemark plan", "tidemark unhold"], "to see what waits, or to let it go:"),
    )


def unhold_view(result: HoldResult) -> RenderableType:
    """Draw the holds that were lifted."""
    verdict = "free" if result.holds else "not held"
    lines = [Text(f"was held {clean(each.told)}", style="dim") for each in result.holds]
    return Group(
        heading(_release(result), result.message, verdict, "green"),
        *lines,
        steps(["tidemark plan", "tidemark refresh"] if result.holds else [], "next:"),
    )


def _release(result: HoldResult) -> str:
    return "no release yet" if result.release is None else f"release {result.release}"
