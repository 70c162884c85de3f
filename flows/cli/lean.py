"""Draw help without what only texts in Markdown or other help need: half of the time of `tidemark --help`."""

from __future__ import annotations

import importlib
import inspect
import sys
from copy import copy
from types import ModuleType
from typing import Any

import typer

__all__ = ["outlined", "spare_markdown"]

# What typer imports for help in Markdown and for tracebacks of its own; we ask it for neither.
UNUSED = {"rich.markdown": "Markdown", "rich.traceback": "Traceback"}


def spare_markdown() -> None:
    """Have typer's drawing of help imported with stand-ins for what it does not use; all others get the real ones."""
    if "typer.rich_utils" in sys.modules:
        return
    stand_ins = {name: ModuleType(name) for name in UNUSED if name not in sys.modules}
    for name, module in stand_ins.items():
        setattr(module, UNUSED[name], type(UNUSED[name], (), {}))
    sys.modules.update(stand_ins)
    try:
        importlib.import_module("typer.rich_utils")
    finally:
        for name in stand_ins:
            del sys.modules[name]


def outlined(app: typer.Typer) -> typer.Typer:
    """The command line with the help of its commands and without their options: a list of commands shows no more.

    typer makes the options of a command from the signature of its function, a tenth of the time of the list of all.

    Args:
        app: The command line, which stays as it is.
    """
    found = copy(app)
    found.registered_commands = [_outline(each) for each in app.registered_commands]
    found.registered_groups = [copy(each) for each in app.registered_groups]
    for group in found.registered_groups:
        group.typer_instance = None if group.typer_instance is None else outlined(group.typer_instance)
    return found


def _outline(command: Any) -> Any:
    found = copy(command)
    found.help = command.help or inspect.getdoc(command.callback)
    found.callback = _nothing
    return found


def _nothing() -> None:
    """Stands for a command of which only the help is shown."""
