"""How the services start a module of Prefect: so that nothing in the working folder stands before our packages."""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["program"]

_LAUNCHER = Path(__file__).parents[1] / "entry" / "tidemark.py"


def program(module: str) -> list[str]:
    """The command that runs a module as `python -m` does; a package `flows` of the folder is then none that it finds.

    Args:
        module: Its name.
    """
    return [sys.executable, str(_LAUNCHER), "-m", module]
