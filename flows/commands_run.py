"""The commands that run something: plan, refresh, rollback, audit."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.output import Output, exit_code, plain

if TYPE_CHECKING:
    from flows.config import Config
    from flows.refresh import RunResult

__all__ = ["OUTCOMES", "Json", "audit", "plan", "refresh", "rollback"]

# Exit code of each outcome of a run; every other one is 1.
OUTCOMES = {"published": 0, "unchanged": 0, "failed": 1, "needs-approval": 3, "refused": 5}

Json = Annotated[bool, typer.Option("--json", help="Print JSON alone on standard output.")]


def plan(ctx: typer.Context, as_json: Json = False) -> None:
    """Show what a refresh would do, by cause, with tokens, time and bytes; writes nothing."""
    from flows.plan import plan as forecast
    from flows.progress import showing

    config = _config(ctx)
    with Output(as_json).reserved() as output:
        with showing() as console:
            found = forecast(config, console)
        output.show(found, lambda: _views().plan_view(found))


def refresh(
    ctx: typer.Context,
    accept_deletions: Annotated[
        bool,
        typer.Option(
            "--accept-deletions", help="Approve that a source lost more documents than limits.max_lost_share."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Bring the index up to date and publish what changed as one release."""
    config, began = _config(ctx), datetime.now(UTC)
    with Output(as_json).reserved() as output:
        try:
            result = _refreshed(config, ctx.obj, accept_deletions)
        except Exception as error:
            if as_json and exit_code(error) == 1:  # a run that began has its shape, however it ended
                output.line(_failure(config, error, began))
            raise
        output.show(result, lambda: _views().refresh_view(result))
    raise typer.Exit(OUTCOMES.get(result.outcome, 1))


def rollback(
    ctx: typer.Context,
    to: Annotated[int | None, typer.Option("--to", metavar="N", help="The release; else the one before.")] = None,
    as_json: Json = False,
) -> None:
    """Publish a release that points back to an earlier one; nothing is embedded or deleted."""
    from flows.rollback import rollback as back

    with Output(as_json).reserved() as output:
        result = back(_config(ctx), to)
        output.show(result, lambda: _views().rollback_view(result))


def audit(
    ctx: typer.Context,
    deep: Annotated[bool, typer.Option("--deep", help="Read and hash every document of the sources too.")] = False,
    release: Annotated[int | None, typer.Option("--release", metavar="N", help="Another than the current one.")] = None,
    as_json: Json = False,
) -> None:
    """Prove that a release is whole: counts, ids, vectors, index, recall."""
    from flows.audit import audit as examine

    with Output(as_json).reserved() as output:
        result = examine(_config(ctx), deep=deep, release=release)
        output.show(result.to_dict(), lambda: _views().audit_view(result))
    raise typer.Exit(0 if result.ok else 5)


def _refreshed(config: Config, file: Path | None, accept_deletions: bool) -> RunResult:
    """Run the refresh: as a Prefect flow where an API is configured, so that its dashboard shows it, else directly."""
    if os.environ.get("PREFECT_API_URL"):
        from flows import deployed

        result: RunResult = deployed.call(deployed.refresh, config=str(file or ""), accept_deletions=accept_deletions)
        return result
    from flows.progress import showing
    from flows.refresh import refresh as run

    with showing() as console:
        return run(config, accept_deletions=accept_deletions, console=console)


def _failure(config: Config, error: Exception, began: datetime) -> dict[str, Any]:
    """Describe a run that failed as its record does, as far as there is one."""
    from storage.runs import Runs
    from storage.store import Store

    found: dict[str, Any] = {"run": None, "counts": {}, "seconds": {}, "message": f"{type(error).__name__}: {error}"}
    try:
        newest = next(iter(Runs(Store(config.store.uri)).all()), {})
    except OSError:  # the store itself is what failed
        newest = {}
    if newest.get("outcome") == "failed" and newest["started"] >= began:
        found |= {name: newest[name] or found[name] for name in found}
    return plain({**found, "release": None, "outcome": "failed"})  # type: ignore[no-any-return]


def _config(ctx: typer.Context) -> Config:
    from flows.config import Config

    return Config.load(ctx.obj)


def _views() -> Any:
    """The views, imported where something is drawn."""
    from flows import render

    return render
