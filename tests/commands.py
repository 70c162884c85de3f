"""The command line, run in this process on tiny folders of notes with the stub encoder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from flows.cli.app import app

__all__ = ["TOML", "corpus", "invoke", "tidemark", "told"]

TOML = """
[store]
uri = "store"
[encoder]
name = "stub"
[[sources]]
name = "notes"
kind = "folder"
path = "notes"
"""


def invoke(*arguments: str) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(app, list(arguments))


def tidemark(folder: Path, *arguments: str) -> Result:
    """Run a command in this process, with the configuration of a folder."""
    return invoke("-c", str(folder / "tidemark.toml"), *arguments)


def told(folder: Path, *arguments: str) -> Any:
    """Run a command that ends well, and read its JSON."""
    result = tidemark(folder, *arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def corpus(folder: Path, count: int = 6, toml: str = TOML) -> Path:
    """Write a configuration and some notes."""
    (folder / "notes").mkdir(parents=True)
    for number in range(count):
        text = f"# Note {number}\n\nThe tide at pier {number} rises {number} feet.\n"
        (folder / "notes" / f"n{number}.md").write_text(text, encoding="utf-8")
    (folder / "tidemark.toml").write_text(toml, encoding="utf-8")
    return folder
