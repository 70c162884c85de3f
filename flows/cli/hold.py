"""The commands by which people keep readers on a release: hold, unhold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.output import Json, Output, configuration

if TYPE_CHECKING:
    from storage.tables.store import Store

__all__ = ["hold", "unhold"]


def hold(
    ctx: typer.Context,
    why: Annotated[str, typer.Argument(metavar="WHY", help="The reason; everybody is told who finds it held.")],
    as_json: Json = False,
) -> None:
    """Keep readers on the release that they have: runs build and judge, and publish nothing."""
    from flows.hold import hold as held
    from flows.views.hold import hold_view

    result = held(_store(ctx), why)
    told = {"release": result.release, "message": result.message, **result.holds[0].to_dict()}
    Output(as_json).show(told, lambda: hold_view(result))


def unhold(ctx: typer.Context, as_json: Json = False) -> None:
    """Let runs publish again."""
    from flows.hold import unhold as lifted
    from flows.views.hold import unhold_view

    result = lifted(_store(ctx))
    told = {"release": result.release, "message": result.message, "lifted": [each.to_dict() for each in result.holds]}
    Output(as_json).show(told, lambda: unhold_view(result))


def _store(ctx: typer.Context) -> Store:
    from storage.tables.format import check
    from storage.tables.store import Store

    store = Store(configuration(ctx).store.uri)
    check(store)
    return store
