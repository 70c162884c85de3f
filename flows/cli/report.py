"""The command that writes the nine o'clock page: `tidemark report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.output import Json, Output, configuration
from storage.errors import InputError
from storage.replaced import replaced

__all__ = ["report"]

FILE = Path("tidemark-report.html")


def report(
    ctx: typer.Context,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Where the page goes.")] = FILE,
    release: Annotated[
        int | None, typer.Option("--release", metavar="N", help="As it was after another release than the current one.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write what changed, what was refused, how good it is and what to do, as one HTML page; reads only."""
    if not output.parent.is_dir():
        raise InputError(f"{output.parent} is no folder; create it first, or name another file with -o")
    if output.is_dir():
        raise InputError(f"{output} is a folder; name a file with -o")
    from flows.dashboard.api import next_due
    from flows.report.gather import gather
    from flows.report.page import write_page
    from flows.report.verdict import verdict

    with Output(as_json).reserved() as out:
        config = configuration(ctx)
        facts = gather(config, release, upcoming=next_due(config.base) if release is None else None)
        _write(output, write_page(facts))
        found = verdict(facts)
        told = {
            "file": output.resolve(),
            "release": None if facts.release is None else facts.release.seq,
            "verdict": found.tone,
            "headline": found.headline,
        }
        out.show(told, lambda: f"{found.headline}\nthe report is in {output}")


def _write(file: Path, text: str) -> None:
    """Write a file whole or not at all: somebody may have the last one open."""
    try:
        with replaced(file) as stream:
            stream.write(text.encode())
    except OSError as error:
        raise InputError(f"{file}: the page cannot be written: {error.strerror or error}") from error
