"""The commands that start, stop and show the dashboard of a folder: up, down, services."""

from __future__ import annotations

import typer

__all__ = ["down", "services", "up"]

BROKEN = 1


def up(ctx: typer.Context) -> None:
    """Start dashboard, worker and schedules of this folder, or repair them, and print address and login.

    TIDEMARK_HOME names another folder, TIDEMARK_PORT another port than 4200.
    """
    from flows.services import server
    from flows.services.here import meant, set_apart

    server.up(set_apart(meant(ctx.obj)))


def down(ctx: typer.Context) -> None:
    """Stop dashboard, worker and every flow run, and leave no process; from a folder without its own, what runs."""
    from flows.services import server
    from flows.services.here import running, set_apart

    server.down(set_apart(running(ctx.obj)))


def services(ctx: typer.Context) -> None:
    """Show what of dashboard, worker and schedules runs; exit 1 unless all of it does."""
    from flows.services import server
    from flows.services.here import running, set_apart

    if not server.status(set_apart(running(ctx.obj))):
        raise typer.Exit(BROKEN)
