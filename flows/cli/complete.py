"""What a shell completes beside commands and options: numbers of releases, ids of runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from storage.tables.store import Store

__all__ = ["release_numbers", "releases_and_runs", "run_ids"]

SHOWN = 50  # newest, of releases and of runs: nobody chooses among more by the tabulator


def release_numbers(ctx: typer.Context) -> list[tuple[str, str]]:
    """The numbers of the newest releases, each with what it said."""
    return _of(ctx, _releases)


def run_ids(ctx: typer.Context) -> list[tuple[str, str]]:
    """The ids of the newest runs, each with what it was."""
    return _of(ctx, _runs)


def releases_and_runs(ctx: typer.Context) -> list[tuple[str, str]]:
    """Both, as `tidemark show` takes them."""
    return release_numbers(ctx) + run_ids(ctx)


def _of(ctx: typer.Context, found: Callable[[Store], Iterator[tuple[str, str]]]) -> list[tuple[str, str]]:
    """Look into the store; nothing where that cannot be, for a shell has no place for an error."""
    from flows.config.schema import Config
    from storage.errors import faults
    from storage.tables.store import Store

    try:
        return list(found(Store(Config.load(ctx.obj).store.uri)))
    except faults():
        return []


def _releases(store: Store) -> Iterator[tuple[str, str]]:
    from storage.tables.releases import Releases

    for release in Releases(store).all(brief=True)[:SHOWN]:
        yield str(release.seq), release.message or release.outcome


def _runs(store: Store) -> Iterator[tuple[str, str]]:
    from storage.tables.runs import Runs

    for row in Runs(store).all(SHOWN, columns=("run", "kind", "outcome")):
        yield row["run"], f"{row['kind']} {row['outcome']}"
