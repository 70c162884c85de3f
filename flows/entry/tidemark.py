"""The way in: keeps the names of Tidemark's packages for Tidemark, whatever else is on the path, and runs a program.

`tidemark ARGUMENT...` is the command line. `python tidemark.py -m MODULE ARGUMENT...` runs a module as `python -m`
does, but without the working folder on the path: so the services start Prefect.
"""

from __future__ import annotations

import gc
import importlib.util
import os
import runpy
import sys
from importlib.machinery import PathFinder
from pathlib import Path

__all__ = ["claim", "complete_streams", "main"]

HERE = Path(__file__).resolve().parent
# Installed, it lies beside the packages; in a checkout below them, where the top is for them alone.
ROOT = str(HERE if (HERE / "flows").is_dir() else HERE.parents[1])
OURS = ("flows", "tasks", "models", "storage")


def claim() -> None:
    """Import the packages of this installation by their place, so that every later import finds them under their names.

    A folder `models` where somebody works, or on his PYTHONPATH, comes before whatever is installed; and Prefect puts
    the working folder first when it loads a flow, whatever Python was told. What is imported already is not looked for.
    """
    for name in OURS:
        spec = PathFinder.find_spec(name, [ROOT])
        if spec is None or spec.loader is None:
            raise ImportError(f"Tidemark is not whole: {ROOT} has no package {name!r}; install it again")
        package = importlib.util.module_from_spec(spec)
        sys.modules[name] = package
        spec.loader.exec_module(package)


def complete_streams() -> None:
    """Give a process that was started without standard streams, as some schedulers do, those that go nowhere.

    Else the first table that it opens becomes its standard output, and takes whatever a library prints.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            # Takes the lowest free number, and those below are taken by now. Children, too, shall find it there.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115


def main() -> None:
    """Run the command line."""
    # What is imported stays: to look for garbage in it takes a thirtieth of a night without news, whose imports make
    # 120,000 objects. Seldom and not never: a search of many questions leaves 9 kB each.
    gc.set_threshold(250_000)
    complete_streams()
    claim()
    from flows.cli.app import run

    run()


def _module(name: str, arguments: list[str]) -> None:
    claim()
    sys.argv = [name, *arguments]
    runpy.run_module(name, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["-m"] and len(sys.argv) > 2:
        _module(sys.argv[2], sys.argv[3:])
    else:
        main()
