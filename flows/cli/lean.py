"""Draw help without what only texts in Markdown need: half of the time of `tidemark --help`."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

__all__ = ["spare_markdown"]

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
