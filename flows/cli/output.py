"""How a command speaks: JSON alone on standard output, or a view for people; errors and logs on standard error."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from enum import Enum
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TextIO

import typer

from flows.environment import log_to_stderr
from storage.errors import InputError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from flows.config.schema import Config
    from flows.views.lines import Terminal

__all__ = ["Json", "Loudness", "Output", "configuration", "loudness", "misplaced", "plain", "speak"]

WIDTH = 120  # of a pipe or a file, which have none

Json = Annotated[bool, typer.Option("--json", help="Print JSON alone on standard output.")]


class Loudness(Enum):
    """How much a command says beside its result."""

    QUIET = "quiet"
    NORMAL = "normal"
    VERBOSE = "verbose"


_loudness: ContextVar[Loudness] = ContextVar("loudness", default=Loudness.NORMAL)


def speak(wanted: Loudness) -> None:
    """Say as much as is wanted from now on: in logs, in progress, in hints."""
    _loudness.set(wanted)
    log_to_stderr(wanted is Loudness.VERBOSE, wanted is Loudness.QUIET)


def loudness() -> Loudness:
    """How much is to be said."""
    return _loudness.get()


class Output:
    """Standard output, kept for the result: whatever a library prints meanwhile goes to standard error.

    Args:
        as_json: Write JSON instead of the view.
    """

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self._stream: TextIO = sys.stdout

    @contextlib.contextmanager
    def reserved(self) -> Iterator[Output]:
        """Keep everything else off standard output."""
        with contextlib.redirect_stdout(sys.stderr):
            yield self

    def show(self, data: Any, view: Callable[[], RenderableType]) -> None:
        """Write a result.

        Args:
            data: The result as JSON shows it.
            view: Draws it for people; called only where it is shown.
        """
        if self.as_json:
            self.line(data, indent=2 if self._stream.isatty() else None)
        else:
            self.console().draw(view())

    def line(self, data: Any, indent: int | None = None) -> None:
        """Write one JSON value, on a line of its own unless it is indented."""
        ascii_only = (self._stream.encoding or "").lower().replace("-", "") != "utf8"
        text = json.dumps(plain(data), ensure_ascii=ascii_only, indent=indent, allow_nan=False)
        # A lone surrogate (a file name that is no UTF-8) is written as JSON would escape it.
        self._stream.write(text.encode("utf-8", "backslashreplace").decode() + "\n")
        self._stream.flush()

    def console(self) -> Terminal:
        """The console that draws on standard output."""
        from flows.views.lines import Terminal

        if isinstance(self._stream, TextIOWrapper):  # a mark that the stream cannot write must not end a command
            self._stream.reconfigure(errors="replace")
        known = self._stream.isatty() or "COLUMNS" in os.environ
        width = None if known else WIDTH
        hints = loudness() is not Loudness.QUIET
        console = Terminal(hints=hints, file=self._stream, width=width)
        console.on_broken_pipe = _broken  # type: ignore[method-assign] # ours is quiet, and has its own exit code
        return console


def plain(value: Any) -> Any:
    """Turn a result into what JSON can say: times as ISO 8601 in UTC, data classes as objects, NaN as null."""
    if value is None or isinstance(value, str | int):  # most values are: asked first, a long list takes a third
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(inner) for inner in value]
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        return aware.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Path):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain({field.name: getattr(value, field.name) for field in dataclasses.fields(value)})
    return value


def configuration(ctx: typer.Context) -> Config:
    """The configuration that a command was given."""
    from flows.config.schema import Config

    return Config.load(ctx.obj)


def misplaced(ctx: typer.Context) -> InputError:
    """What is wrong where options of a group stand before one of its commands: they are those of its list."""
    group, command = ctx.info_name, ctx.invoked_subcommand
    return InputError(f"its options stand behind a command: tidemark {group} {command} --help lists them")


def _broken() -> NoReturn:
    raise BrokenPipeError
