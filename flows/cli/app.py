"""The command line: `tidemark`."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from copy import copy
from itertools import takewhile
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from flows.cli import hold, init, look
from flows.cli.explain import explain
from flows.cli.lean import outlined, spare_markdown
from flows.cli.leave import leaving
from flows.cli.models import models
from flows.cli.options import dress, share
from flows.cli.output import Loudness, speak
from flows.cli.quarantine import quarantine
from flows.cli.report import report
from flows.cli.run import add_flow
from flows.cli.services import down, services, up
from flows.cli.status import status
from flows.environment import set_up
from flows.exits import INTERRUPTED, exit_code
from flows.stop import Terminated, heed, stopped
from flows.table import FLOWS, RUN
from storage.errors import TidemarkError, failures, panics, words

__all__ = ["app", "main", "named", "run"]

DEBUG = "TIDEMARK_DEBUG"
HELP = frozenset({"-h", "--help"})
READ, SET_UP = "Look", "Set up"
UNCHANGED = "what readers see is unchanged"
STOPPED = f"interrupted: {UNCHANGED} and finished vectors are kept; the same command goes on"


@contextlib.contextmanager
def reported() -> Iterator[None]:
    """Turn what ends a command into one clear line on standard error and the exit code of the table in the README."""
    try:
        yield
        sys.stdout.flush()
    except (typer.Exit, typer.Abort):
        raise
    except BrokenPipeError as error:
        _close_quietly()
        sys.exit(exit_code(error))
    except KeyboardInterrupt as error:
        typer.echo(_stopped(error), err=True)
        sys.exit(exit_code(error))
    except typer.TyperException as error:  # the command line itself is wrong
        _tell(_misused(error), error)
        sys.exit(error.exit_code)
    except failures(SystemExit) as error:
        if isinstance(error.__context__, BrokenPipeError):  # so rich leaves, which draws the help
            _close_quietly()
            sys.exit(exit_code(error.__context__))
        if stopped() is not None:
            _tell(_stopped(error), error)
            sys.exit(exit_code(Terminated() if stopped() == signal.SIGTERM else KeyboardInterrupt()))
        _tell(str(error) if _foreseen(error) else _unexpected(error), error)
        raise SystemExit(exit_code(error)) from error


class Reported(TyperGroup):
    """The group of commands, with `reported` around each call, and the options of every command on each."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.late = True  # typer adds the options of completion when the group is made
        share(self)

    def get_params(self, ctx: Any) -> Any:
        """The options before the name of a command."""
        if self.late:
            self.params, self.late = dress(self.params), False
        return super().get_params(ctx)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read what stands before the name of a command."""
        speak(Loudness.NORMAL)
        with reported():
            try:
                return super().parse_args(ctx, args)
            except SystemExit as left:
                if left.code:
                    raise
                raise typer.Exit from left  # so typer leaves once it has shown or installed completion

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        with reported():
            return super().invoke(ctx)


app = typer.Typer(
    name="tidemark",
    cls=Reported,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Keeps an embedding index fresh, measured and reversible.",
    context_settings={"help_option_names": sorted(HELP, key=len)},
)

app.command("init", rich_help_panel=SET_UP)(init.init)
app.command("up", rich_help_panel=SET_UP)(up)
app.command("down", rich_help_panel=SET_UP)(down)
app.command("services", rich_help_panel=SET_UP)(services)
for name, row in FLOWS.items():
    add_flow(app, name, row)
app.command("hold", rich_help_panel=RUN)(hold.hold)
app.command("unhold", rich_help_panel=RUN)(hold.unhold)
app.command("status", rich_help_panel=READ)(status)
app.command("report", rich_help_panel=READ)(report)
app.command("search", rich_help_panel=READ)(look.search)
app.command("releases", rich_help_panel=READ)(look.releases)
app.command("runs", rich_help_panel=READ)(look.runs)
app.command("show", rich_help_panel=READ)(look.show)
app.command("diff", rich_help_panel=READ)(look.diff)
app.command("explain", rich_help_panel=READ)(explain)
app.add_typer(quarantine, name="quarantine", rich_help_panel=READ)
app.add_typer(models, name="models", rich_help_panel=READ)


def _version(asked: bool) -> None:
    """Print the version and leave."""
    if asked:
        from importlib.metadata import version

        typer.echo(f"tidemark {version('tidemark')}")
        raise typer.Exit


@app.callback()
def _options(
    ctx: typer.Context,
    _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Keep an embedding index fresh, measured and reversible."""
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


def main() -> None:
    """Run the command line."""
    set_up()
    heed()
    if not sys.argv[1:] or HELP & set(sys.argv):
        spare_markdown()
    try:
        named(sys.argv[1:])()
    except (SystemExit, KeyboardInterrupt) as left:
        # Before and after the command itself typer knows Ctrl-C alone, and tells every signal as that.
        if stopped() is not None and getattr(left, "code", INTERRUPTED) == INTERRUPTED:
            sys.exit(exit_code(Terminated() if stopped() == signal.SIGTERM else KeyboardInterrupt()))
        raise


def named(arguments: list[str]) -> typer.Typer:
    """The command line with those commands alone whose names it has: typer takes a tenth of a second to make them all.

    Where it begins with no name of a command, all are made: for completion, or an error that tells similar names. Where
    it asks for their list, their names and help are enough.
    """
    before = list(takewhile(lambda word: word.startswith("-"), arguments))
    if HELP & set(before):
        return outlined(app)
    first = next(iter(arguments[len(before) :]), None)
    if first not in {each.name for each in app.registered_commands} | {each.name for each in app.registered_groups}:
        return app
    few = copy(app)
    few.registered_commands = [each for each in app.registered_commands if each.name in arguments]
    few.registered_groups = [each for each in app.registered_groups if each.name in arguments]
    return few


def run() -> NoReturn:
    """Run the command line as the process that it is."""
    leaving(main)


def _tell(message: str, error: BaseException) -> None:
    """Print an error, with its traceback where that is asked for."""
    if os.environ.get(DEBUG):
        traceback.print_exception(error)
    lead = typer.style("error:", fg="red", bold=True) if sys.stderr.isatty() else "error:"
    typer.echo(f"{lead} {message}", err=True)


def _stopped(error: BaseException) -> str:
    """Say what an interrupted command leaves behind; a run notes in the error what it had published (`flows.run`)."""
    done = _published(error)
    return f"interrupted, but {done}" if done else STOPPED


def _published(error: BaseException) -> str:
    """Say what a run had published by the time of an error; empty where it had nothing."""
    notes = getattr(error, "__notes__", ())
    return f"by then it had published: {'; '.join(notes)}" if notes else ""


def _foreseen(error: BaseException) -> bool:
    """Tell whether the text of an error was written for whoever reads it here; of a bug its type is told too."""
    return isinstance(error, TidemarkError) or exit_code(error) != 1


def _misused(error: Any) -> str:
    """Say in one line what is wrong with a command line, and where its options are told."""
    said = " ".join(error.format_message().split()).rstrip(".")
    said = said.replace("Value error, ", "").replace("argument(s)", "argument")
    said = said.partition(", unable to parse")[0].replace("Input should be", "it should be")  # pydantic's words
    ctx = getattr(error, "ctx", None)
    more = "" if ctx is None or said.endswith("?") else f"; see `{ctx.command_path} --help`"
    return f"{said[:1].lower()}{said[1:]}{more}"


def _unexpected(error: BaseException) -> str:
    """Describe a fault that nobody foresaw in one line, and say how to see more."""
    done = _published(error)
    if "os error 28" in str(error) or getattr(error, "errno", None) == errno.ENOSPC:
        return f"the disk is full: free some space and run the command again; {done or UNCHANGED}"
    if _forbidden(error):
        where = getattr(error, "filename", None)
        place = f"to {where}" if where else "to the store"
        return f"you may not write {place}: give this user the right to, or run as its owner; reading needs no right"
    told = isinstance(error, panics()) or "lance" in str(error).lower()
    hint = "; `tidemark audit` tells whether the store is damaged" if told else ""
    where = "" if os.environ.get(DEBUG) else f" ({DEBUG}=1 shows the traceback)"
    after = f"; {done}" if done else ""
    return f"{type(error).__name__}: {words(error) or 'no message'}{after}{hint}{where}"


def _forbidden(error: BaseException) -> bool:
    """Tell whether the operating system refused access: to Python, or to Lance, which passes its number on."""
    said = str(error)
    refused = "os error 13" in said or "os error 30" in said or getattr(error, "errno", None) == errno.EROFS
    return isinstance(error, PermissionError) or refused


def _close_quietly() -> None:
    """Point standard output at nothing, so that the interpreter's last flush does not complain."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    run()
