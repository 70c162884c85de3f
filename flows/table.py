"""The table of flows: each row becomes a command of the command line and a flow of the dashboard."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, Protocol, get_args, get_origin

if TYPE_CHECKING:
    from rich.console import RenderableType

    from flows.config.schema import Config
    from storage.outcome import Outcome
    from tasks.progress import Progress

__all__ = ["FLOWS", "RUN", "FlowRow", "Option", "Parameter", "Result", "resolve", "shown"]

# Parameters that every flow may have, and that are given to it rather than asked for.
CONFIG, TRIGGER, CONSOLE = "config", "trigger", "console"

RUN = "Run"  # the panel of the commands that do something

_ARGUMENT = re.compile(r"^    (\w+): (.*)$")


class Result(Protocol):
    """What a flow returns: a frozen dataclass, whose fields (or `to_dict`, where it has one) are what JSON shows."""

    @property
    def outcome(self) -> Outcome:
        """How it ended."""

    @property
    def message(self) -> str:
        """One line for people."""


@dataclass(frozen=True)
class Option:
    """What the command line shows of a parameter beside its name and its description: `Annotated[int, Option("N")]`.

    Attributes:
        metavar: Stands for the value.
        short: Another name of one letter, `-o`.
        verbose: `--verbose` asks for it too.
    """

    metavar: str | None = None
    verbose: bool = False
    short: str | None = None


@dataclass(frozen=True)
class Parameter:
    """A parameter of a flow that whoever starts it may give.

    Attributes:
        name: As Python calls it.
        type: Its type, without annotations.
        default: Its value where none is given.
        help: Its description in the docstring.
        option: How the command line shows it.
    """

    name: str
    type: Any
    default: Any
    help: str
    option: Option


@dataclass(frozen=True)
class FlowRow:
    """One flow; its modules are imported when it is used.

    Attributes:
        function: The plain function, `module:name`: its parameters and its docstring are those of the command.
        view: Draws its result for a terminal, `module:name`.
        help: The first line of the docstring, here so that the list of commands imports no flow.
        recorded: It writes a record of its run, and is a Prefect flow where an API is configured.
        panel: The heading of its command.
    """

    function: str
    view: str
    help: str
    recorded: bool = True
    panel: str = RUN

    @property
    def signature(self) -> inspect.Signature:
        """The signature of the plain function, with types in place of their names."""
        return inspect.signature(resolve(self.function), eval_str=True)

    def parameters(self) -> Iterator[Parameter]:
        """What whoever starts the flow may give."""
        described = dict(_arguments(inspect.getdoc(resolve(self.function)) or ""))
        for name, parameter in self.signature.parameters.items():
            if name in (CONFIG, TRIGGER, CONSOLE):
                continue
            kind, option = parameter.annotation, Option()
            if get_origin(kind) is Annotated:
                kind, *notes = get_args(kind)
                option = next((note for note in notes if isinstance(note, Option)), option)
            yield Parameter(name, kind, parameter.default, described.get(name, ""), option)

    def takes(self, name: str) -> bool:
        """Tell whether the function has a parameter."""
        return name in self.signature.parameters

    def run(
        self, config: Config, *, trigger: str = "manual", console: Progress | None = None, **options: Any
    ) -> Result:
        """Call the plain function with what it takes of all this.

        Args:
            config: The configuration.
            trigger: Who started it.
            console: Where it says how far it is.
            **options: Its own parameters.
        """
        given = {TRIGGER: trigger, CONSOLE: console}
        taken = {name: value for name, value in given.items() if self.takes(name)}
        result: Result = resolve(self.function)(config, **taken, **options)
        return result

    def draw(self, result: Result) -> RenderableType:
        """Draw a result for a terminal."""
        drawn: RenderableType = resolve(self.view)(result)
        return drawn


FLOWS: dict[str, FlowRow] = {
    "plan": FlowRow(
        "flows.plan:plan",
        "flows.views.run:plan_view",
        "Show what a refresh would do, by cause, with tokens, time and bytes; writes nothing.",
        recorded=False,
    ),
    "refresh": FlowRow(
        "flows.refresh:refresh",
        "flows.views.run:refresh_view",
        "Bring the index up to date and publish what changed as one release.",
    ),
    "reembed": FlowRow(
        "flows.reembed:reembed",
        "flows.views.run:refresh_view",
        "Embed what the release holds with another encoder, and publish it as one release.",
    ),
    "rollback": FlowRow(
        "flows.rollback:rollback",
        "flows.views.run:rollback_view",
        "Publish a release that points back to an earlier one; nothing is embedded or deleted.",
    ),
    "audit": FlowRow(
        "flows.audit:audit",
        "flows.views.run:audit_view",
        "Prove that a release is whole: counts, ids, vectors, index, recall.",
    ),
    "maintain": FlowRow(
        "flows.maintain:maintain",
        "flows.views.run:maintain_view",
        "Free what nothing needs: releases beyond releases.keep, encoders of none, old versions, torn files.",
    ),
    "retrain": FlowRow(
        "flows.retrain:retrain",
        "flows.views.learn:retrain_view",
        "Train a better encoder from the release's own documents, and publish it if the gate lets it pass.",
    ),
    "evaluate": FlowRow(
        "flows.measure:evaluate",
        "flows.views.quality:evaluation_view",
        "Measure how well a release answers judged questions: by vectors, by words, by both.",
    ),
    "drift": FlowRow(
        "flows.drift:drift",
        "flows.views.drift:drift_view",
        "Tell what moved: data, vectors, questions, encoder and quality of the last night, each beside its history.",
    ),
}


def resolve(place: str) -> Callable[..., Any]:
    """Import what a row names.

    Args:
        place: `module:name`.
    """
    module, _, name = place.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), name)
    return found


def shown(result: Any) -> dict[str, Any]:
    """A result as JSON shows it: as it says itself (`to_dict`), else its fields."""
    if hasattr(result, "to_dict"):
        told: dict[str, Any] = result.to_dict()
        return told
    if not is_dataclass(result):
        raise TypeError(f"a flow returns a dataclass, not {type(result).__name__}")
    return {field.name: getattr(result, field.name) for field in fields(result)}


def _arguments(docstring: str) -> Iterator[tuple[str, str]]:
    """Read the `Args:` section of a docstring in Google style: each parameter and its description on one line."""
    _, _, section = docstring.partition("\nArgs:\n")
    name, words = "", list[str]()
    for line in section.split("\n\n")[0].splitlines():
        found = _ARGUMENT.match(line)
        if found and name:
            yield name, " ".join(words)
        if found:
            name, words = found[1], [found[2]]
        else:
            words.append(line.strip())
    if name:
        yield name, " ".join(words)
