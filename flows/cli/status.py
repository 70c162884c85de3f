"""The command that says how an index is: `tidemark status`."""

from __future__ import annotations

from datetime import UTC, datetime

import typer

from flows.cli.output import Json, Output, configuration

__all__ = ["status"]

OUTDATED = 1  # what a monitor asks for: a code that is not 0 without reading a word


def status(ctx: typer.Context, as_json: Json = False) -> None:
    """Say how the index is: release, age, last run, who writes or holds, refused, quality; exit 1 where outdated."""
    from flows.dashboard.api import next_due
    from flows.status import status as looked
    from flows.views.status import status_view
    from storage.tables.format import check
    from storage.tables.store import Store

    config = configuration(ctx)
    store = Store(config.store.uri)
    check(store)
    found = looked(store, config, datetime.now(UTC), next_due(config.base))
    Output(as_json).show(found.to_dict(), lambda: status_view(found))
    if found.outdated:
        raise typer.Exit(OUTDATED)
