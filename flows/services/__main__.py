"""The command line of the services: `python -m flows.services up|down|status|apply`."""

from __future__ import annotations

import os
import sys

import typer
from rich.markup import escape

from flows.services import server
from flows.services.here import set_apart
from flows.services.place import Services
from storage.errors import TidemarkError

__all__ = ["main"]

app = typer.Typer(add_completion=False, help="The dashboard, its worker and the deployments of this folder.")


@app.command()
def up() -> None:
    """Start server, worker and deployments, or repair them, and print the dashboard's address and login."""
    server.up(_here())


@app.command()
def down() -> None:
    """Stop them and every flow run, and leave no process."""
    server.down(_here())


@app.command()
def status() -> None:
    """Show what runs; exit code 1 unless all of it does."""
    if not server.status(_here()):
        raise typer.Exit(1)


@app.command()
def apply() -> None:
    """Give work pool, deployments and automations to the server of PREFECT_API_URL; changes nothing the second time."""
    from flows.services.giving import elsewhere

    given = {name: value for name, value in os.environ.items() if name.startswith("PREFECT_")}
    for line in elsewhere(Services.from_environment(), given):
        server.console.print(line, soft_wrap=True)


def main() -> None:
    """Run the command line; an error of the user's is one line and its exit code."""
    try:
        app()
    except TidemarkError as error:
        server.console.print(f"[bold red]error[/] {escape(str(error))}", soft_wrap=True)
        from flows.exits import exit_code

        sys.exit(exit_code(error))


def _here() -> Services:
    """The services that the environment names; Prefect, imported later, finds no profile or setting of the caller's."""
    return set_apart(Services.from_environment())


if __name__ == "__main__":
    main()
