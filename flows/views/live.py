"""Bars that a terminal redraws in place, also when it writes `^C` behind them."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.progress import Progress

__all__ = ["Bars"]

ECHOED = 5  # cells that two `^C` take, and one: in a full line they would wrap, and leave a copy of what stands above


@dataclass(frozen=True)
class Narrower:
    """A view that never fills the lines of the terminal."""

    view: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it in what is left."""
        yield from console.render(self.view, options.update_width(max(1, options.max_width - ECHOED)))


class Bars(Progress):
    """A progress with room at the end of its lines."""

    def get_renderable(self) -> RenderableType:
        """The bars as they stand."""
        return Narrower(super().get_renderable())
