"""The commands that run a flow, each made of its row in the table of flows when it is used."""

from __future__ import annotations

import gc
import inspect
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from flows.cli.complete import release_numbers
from flows.cli.options import dress
from flows.cli.output import Json, Loudness, Output, configuration, loudness
from flows.exits import exit_code
from flows.table import FLOWS, FlowRow, Parameter, Result, shown
from storage.errors import summary
from storage.outcome import Outcome

if TYPE_CHECKING:
    from flows.config.schema import Config

__all__ = ["FlowCommand", "add_flow"]

NUMBERS = ("release", "to")  # parameters that are the number of a release, which a shell can complete
OBJECTS = 700  # made, and not freed, between two looks for garbage: Python's own number


class FlowCommand(TyperCommand):
    """A command whose options are the parameters of a flow, read when somebody asks for them.

    The list of commands shows the row's help alone, so that it imports no flow.
    """

    late = True  # its options are not there yet

    def get_params(self, ctx: Any) -> Any:
        """The options; the first call imports the flow and makes the command."""
        if self.late:
            app = typer.Typer(add_completion=False)
            app.command()(_command(str(self.name), FLOWS[str(self.name)]))
            made = typer.main.get_command(app)
            self.params, self.callback, self.late = dress(made.params), made.callback, False
        return super().get_params(ctx)


def add_flow(app: typer.Typer, name: str, row: FlowRow) -> None:
    """Give an application the command of a flow.

    Args:
        app: The application.
        name: Of the command.
        row: Of the flow.
    """

    def later() -> None:
        """Stands for the command until its options are asked for."""

    app.command(name, cls=FlowCommand, help=row.help, rich_help_panel=row.panel)(later)


def _command(name: str, row: FlowRow) -> Callable[..., None]:
    """The function of a command, with the signature from which typer makes its options."""

    def command(ctx: typer.Context, as_json: bool, **options: Any) -> None:
        _run(name, row, ctx, as_json, options)

    kind = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        inspect.Parameter("ctx", kind, annotation=typer.Context),
        *(
            inspect.Parameter(each.name, kind, default=each.default, annotation=_annotation(each))
            for each in row.parameters()
        ),
        inspect.Parameter("as_json", kind, default=False, annotation=Json),
    ]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    return command


def _annotation(parameter: Parameter) -> Any:
    """The type of a parameter with what typer shows of it; without a name of its own a flag would get a `--no-` too."""
    flag = f"--{parameter.name.replace('_', '-')}"
    completed = release_numbers if parameter.name in NUMBERS else None
    names = [flag] if parameter.option.short is None else [parameter.option.short, flag]
    option = typer.Option(*names, metavar=parameter.option.metavar, help=parameter.help, autocompletion=completed)
    return Annotated[parameter.type, option]


def _run(name: str, row: FlowRow, ctx: typer.Context, as_json: bool, options: dict[str, Any]) -> None:
    """Run a flow and show its result, or in JSON that it failed."""
    _collect()
    config, began = configuration(ctx), datetime.now(UTC)
    if loudness() is Loudness.VERBOSE:
        options |= {each.name: True for each in row.parameters() if each.option.verbose}
    with Output(as_json).reserved() as output:
        try:
            result = _called(name, row, config, ctx.obj, options)
        except Exception as error:
            if as_json and row.recorded and exit_code(error) == 1:  # a run that began has its shape, however it ended
                output.line(_failure(config, name, error, began))
            raise
        output.show(shown(result), lambda: row.draw(result))
    raise typer.Exit(exit_code(result.outcome, getattr(result, "flow", name)))


def _collect() -> None:
    """Have garbage collected as often as ever from here on, where the way in put that off: a flow may run for hours."""
    if gc.get_threshold()[0] > OBJECTS:
        gc.freeze()  # what was imported by now is none
        gc.set_threshold(OBJECTS)


def _called(name: str, row: FlowRow, config: Config, file: Path | None, options: dict[str, Any]) -> Result:
    """Run a flow: as a Prefect flow where an API is configured, so that its dashboard shows it, else directly."""
    if row.recorded:
        from flows.dashboard.api import connected

        if connected(config.base):
            from flows.dashboard.deployed import call, deployed

            result: Result = call(deployed(name), config=str(file or ""), **options)
            return result
    # Some are over before a progress could be drawn.
    if not row.takes("console") or loudness() is Loudness.QUIET:
        return row.run(config, **options)
    from flows.views.progress import showing

    with showing() as console:
        return row.run(config, console=console, **options)


def _failure(config: Config, kind: str, error: Exception, began: datetime) -> dict[str, Any]:
    """Describe a run that failed as its record does, as far as there is one."""
    from storage.tables.runs import Runs
    from storage.tables.store import Store

    found: dict[str, Any] = {"run": None, "counts": {}, "seconds": {}, "message": summary(error)}
    try:
        rows = Runs(Store(config.store.uri)).all(10)
    except OSError:  # the store itself is what failed
        rows = []
    newest = next((row for row in rows if row["kind"] == kind), {})
    if newest.get("outcome") == Outcome.FAILED and newest["started"] >= began:
        found |= {name: newest[name] or found[name] for name in found}
    return {**found, "release": None, "outcome": Outcome.FAILED}
