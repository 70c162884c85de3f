"""The commands that run something: plan, refresh, rollback, audit."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.output import Output, exit_code, plain
from storage.errors import summary

if TYPE_CHECKING:
    from flows.config.schema import Config

__all__ = ["OUTCOMES", "Json", "audit", "plan", "refresh", "rollback"]

# Exit code of each outcome of a run; every other one is 1.
OUTCOMES = {"published": 0, "unchanged": 0, "failed": 1, "needs-approval": 3, "refused": 5}

Json = Annotated[bool, typer.Option("--json", help="Print JSON alone on standard output.")]


Rebuild = Annotated[
    bool, typer.Option("--rebuild", help="Take nothing over from earlier releases: embed everything again.")
]


def plan(ctx: typer.Context, rebuild: Rebuild = False, as_json: Json = False) -> None:
    """Show what a refresh would do, by cause, with tokens, time and bytes; writes nothing."""
    from flows.plan import plan as forecast
    from flows.views.progress import showing

    config = _config(ctx)
    with Output(as_json).reserved() as output:
        with showing() as console:
            found = forecast(config, console, rebuild=rebuild)
        output.show(found, lambda: _views().plan_view(found))


def refresh(
    ctx: typer.Context,
    accept_deletions: Annotated[
        bool,
        typer.Option(
            "--accept-deletions", help="Approve that a source loses more documents than limits.max_lost_share."
        ),
    ] = False,
    accept_stale: Annotated[
        bool,
        typer.Option(
            "--accept-stale",
            help="Approve that more documents of a source are broken at once than limits.max_stale_share; their last "
            "versions stay.",
        ),
    ] = False,
    accept_encoder: Annotated[
        bool, typer.Option("--accept-encoder", help="Approve that another encoder replaces that of the release.")
    ] = False,
    rebuild: Rebuild = False,
    as_json: Json = False,
) -> None:
    """Bring the index up to date and publish what changed as one release."""
    config, began = _config(ctx), datetime.now(UTC)
    with Output(as_json).reserved() as output:
        try:
            approved = {
                "accept_deletions": accept_deletions,
                "accept_stale": accept_stale,
                "accept_encoder": accept_encoder,
            }
            result = _run(config, ctx.obj, "refresh", **approved, rebuild=rebuild)
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
    with Output(as_json).reserved() as output:
        result = _run(_config(ctx), ctx.obj, "rollback", to=to)
        output.show(result, lambda: _views().rollback_view(result))


def audit(
    ctx: typer.Context,
    deep: Annotated[bool, typer.Option("--deep", help="Read and hash every document of the sources too.")] = False,
    release: Annotated[int | None, typer.Option("--release", metavar="N", help="Another than the current one.")] = None,
    as_json: Json = False,
) -> None:
    """Prove that a release is whole: counts, ids, vectors, index, recall."""
    with Output(as_json).reserved() as output:
        result = _run(_config(ctx), ctx.obj, "audit", deep=deep, release=release)
        output.show(result.to_dict(), lambda: _views().audit_view(result))
    raise typer.Exit(0 if result.ok else 5)


def _run(config: Config, file: Path | None, name: str, **options: Any) -> Any:
    """Run a flow: as a Prefect flow where an API is configured, so that its dashboard shows it, else directly."""
    from flows.dashboard.api import connected

    if connected(config.base):
        from flows import deployed

        return deployed.call(getattr(deployed, name), config=str(file or ""), **options)
    from importlib import import_module

    flow = getattr(import_module(f"flows.{name}"), name)
    if name == "rollback":  # it is over before a progress could be drawn
        return flow(config, **options)
    from flows.views.progress import showing

    with showing() as console:
        return flow(config, console=console, **options)


def _failure(config: Config, error: Exception, began: datetime) -> dict[str, Any]:
    """Describe a run that failed as its record does, as far as there is one."""
    from storage.tables.runs import Runs
    from storage.tables.store import Store

    found: dict[str, Any] = {"run": None, "counts": {}, "seconds": {}, "message": summary(error)}
    try:
        newest = next(iter(Runs(Store(config.store.uri)).all(1)), {})
    except OSError:  # the store itself is what failed
        newest = {}
    if newest.get("outcome") == "failed" and newest["started"] >= began:
        found |= {name: newest[name] or found[name] for name in found}
    return plain({**found, "release": None, "outcome": "failed"})  # type: ignore[no-any-return]


def _config(ctx: typer.Context) -> Config:
    from flows.config.schema import Config

    return Config.load(ctx.obj)


def _views() -> Any:
    """The views, imported where something is drawn."""
    from flows.views import run

    return run
