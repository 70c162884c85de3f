"""How the services start a module of Prefect: so that nothing in the working folder stands before our packages."""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["program"]

_FLOWS = Path(__file__).parents[1]
_INSTALLED = _FLOWS.parent / "tidemark.py"  # where the packages were copied; a checkout has it below them
_LAUNCHER = _INSTALLED if _INSTALLED.is_file() else _FLOWS / "entry" / "tidemark.py"


def program(module: str) -> list[str]:
    """The command that runs a module as `python -m` does; a package `flows` of the folder is then none that it finds.

    Args:
        module: Its name.
    """
    return [sys.executable, str(_LAUNCHER), "-m", module]
