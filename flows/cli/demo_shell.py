"""Runs the real command line in a folder, shows every command, and checks what it promised."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.rule import Rule
from rich.text import Text

__all__ = ["Broken", "Demo"]


class Broken(Exception):
    """A step showed something other than what it promised."""


class Demo:
    """Runs the real command line in a folder, shows every command, and checks what it promised.

    Args:
        folder: Where the demonstration plays; made anew.
        encoder: The encoder to use.
    """

    def __init__(self, folder: Path, encoder: str) -> None:
        self.folder = folder
        self.encoder = encoder
        self.console = Console(highlight=False, emoji=False, markup=False)
        program = Path(sys.executable).with_name("tidemark")
        self._program = [str(program)] if program.exists() else [sys.executable, "-m", "flows.cli.app"]
        # Settings of the caller's own index must not reach this one, and no dashboard is needed.
        private = ("TIDEMARK_", "PREFECT_API_")
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith(private)}

    def chapter(self, title: str, *lines: str) -> None:
        """Say what comes next."""
        self.console.print()
        self.console.print(Rule(Text(title, style="bold cyan"), align="left", style="dim"))
        for line in lines:
            self.console.print(line, style="dim")

    def shell(self, command: str) -> None:
        """Show a command of the shell that the demonstration does itself."""
        self.console.print(Text.assemble(("\n$ ", "green"), (command, "bold")))

    def run(self, *arguments: str, codes: tuple[int, ...] = (0,)) -> float:
        """Run a command for the reader to see; returns its seconds.

        Args:
            *arguments: Of the command line.
            codes: Exit codes that keep the promise.

        Raises:
            Broken: It ended with another code.
        """
        self.shell(shlex.join(["tidemark", *arguments]))
        began = time.monotonic()
        ended = subprocess.run([*self._program, *arguments], cwd=self.folder, env=self._environment, check=False)
        if ended.returncode not in codes:
            raise Broken(f"`tidemark {shlex.join(arguments)}` ended with {ended.returncode}")
        return time.monotonic() - began

    def ask(self, *arguments: str) -> Any:
        """Run a command with --json, unseen, and return what it says.

        Raises:
            Broken: It did not end with 0, or said something else than JSON.
        """
        command = [*self._program, *arguments, "--json"]
        ended = subprocess.run(
            command, cwd=self.folder, env=self._environment, check=False, capture_output=True, text=True
        )
        try:
            return json.loads(ended.stdout)
        except ValueError as error:
            shown = f"{shlex.join(arguments)} --json ended with {ended.returncode}: {ended.stdout}{ended.stderr}"
            raise Broken(shown) from error

    def check(self, promise: str, kept: bool, found: object = "") -> None:
        """Say that a promise was kept.

        Raises:
            Broken: It was not.
        """
        if not kept:
            raise Broken(f"{promise}: not so; found {found}")
        self.console.print(Text.assemble(("  checked  ", "green"), promise))
