"""The options that every command has, before its name or behind it, and one style of help for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import MethodType
from typing import Annotated, Any

import typer

from flows.cli.output import Loudness, speak

__all__ = ["dress", "share"]

EVERYWHERE = "Options of every command"
HELP = "The configuration; else TIDEMARK_CONFIG, else ./tidemark.toml."
# What stands for a value in help where nothing more exact was named, by the kind of its type.
_METAVARS = {int: "N", float: "X", Path: "FILE"}


def share(command: Any) -> None:
    """Give a command, and all below it, the options of every command; new ones get them without doing anything.

    Args:
        command: A command or a group, as typer makes it. One that reads its options later calls `dress` itself.
    """
    for inner in getattr(command, "commands", {}).values():
        share(inner)
    found = command.get_help_option
    command.get_help_option = lambda ctx: plain_help(found(ctx))
    if not getattr(command, "late", False):
        command.params = dress(command.params)


def dress(params: Sequence[Any]) -> list[Any]:
    """The options of a command, each shown in the house's style, and those of every command behind them.

    What is given to those that take words is text in UTF-8, or refused: no table and no tokenizer takes anything else.

    Args:
        params: The command's own, as typer makes them.
    """
    for param in params:
        if param.type_descriptor.annotation in (str, list[str]) and param.callback is None:
            param.callback = _in_utf8
    return [*map(plain_help, params), *_shared()]


@cache
def _shared() -> list[Any]:
    """The options of every command, made once: no command changes them."""
    app = typer.Typer(add_completion=False)
    app.command()(_everywhere)
    return [plain_help(param) for param in typer.main.get_command(app).params]


def plain_help(param: Any) -> Any:
    """Show a parameter as people write it: `-n N`, `--json`, `[RUN]`; no types, no braces.

    Args:
        param: As typer makes it; it is changed.
    """
    if param.param_type_name == "argument":
        param.metavar = (param.metavar or param.name.upper()).strip("[]")
        usage = param.metavar if param.required else f"[{param.metavar}]"
        param.get_usage_pieces = MethodType(lambda self, ctx: [usage], param)
    elif not param.is_flag:
        described = param.type_descriptor
        choices = "|".join(map(str, described.choices)) if described.choices else ""
        param.metavar = param.metavar or choices or _METAVARS.get(described.annotation, "TEXT")
        return param
    param.display_type_rich = MethodType(lambda self, ctx: None, param)
    return param


def _in_utf8(ctx: typer.Context, param: Any, value: Any) -> Any:
    """Give back what was given: a word, several, or none. Python hands over a byte that is no UTF-8 as half a pair."""
    for word in [value] if isinstance(value, str) else value or ():
        try:
            word.encode()
        except UnicodeEncodeError as error:
            raise typer.BadParameter(f"{word!r} is no text in UTF-8", ctx=ctx, param=param) from error
    return value


def _configured(ctx: typer.Context, value: Path | None) -> None:
    if value is not None:
        ctx.obj = value


def _verbose(value: bool) -> None:
    if value:
        speak(Loudness.VERBOSE)


def _quiet(value: bool) -> None:
    if value:
        speak(Loudness.QUIET)


def _everywhere(
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", "-c", metavar="FILE", help=HELP, callback=_configured, expose_value=False,
            rich_help_panel=EVERYWHERE,
        ),
    ] = None,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose", "-v", help="Log what each stage does, and name everything.", callback=_verbose,
            expose_value=False, rich_help_panel=EVERYWHERE,
        ),
    ] = False,
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet", "-q", help="Only results and errors: no progress, no hints.", callback=_quiet,
            expose_value=False, rich_help_panel=EVERYWHERE,
        ),
    ] = False,
) -> None:  # fmt: skip
    """Stands for a command, so that typer makes these options as it makes all others."""
