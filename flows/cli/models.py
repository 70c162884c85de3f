"""The commands about models: list, show, export and import."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.output import Json, Output, configuration, misplaced

if TYPE_CHECKING:
    from storage.tables.store import Store

__all__ = ["models"]

models = typer.Typer(invoke_without_command=True, rich_markup_mode="rich")
Prefix = Annotated[str, typer.Argument(metavar="SPACE", help="Space of the model, its beginning, or the model's name.")]


@models.callback()
def models_list(ctx: typer.Context, as_json: Json = False) -> None:
    """List the models that the store keeps: of releases, trained ones, and those that were brought in."""
    if ctx.invoked_subcommand is not None:
        if as_json:  # it would be the list's, and what the command prints would be none
            raise misplaced(ctx)
        return
    from storage.catalogue import catalogue

    found = catalogue(_store(ctx))
    Output(as_json).show([model.to_dict() for model in found], lambda: _views().models_view(found))


@models.command("show")
def models_show(ctx: typer.Context, space: Prefix, as_json: Json = False) -> None:
    """Show all that is known of a model: where it comes from, its recipe, data, metrics and files."""
    from storage.catalogue import pick_model
    from storage.registry import Registry

    store = _store(ctx)
    model = pick_model(store, space)
    record = {} if model.record is None else model.record.to_dict()
    told: dict[str, Any] = {**record, **model.to_dict(), "digests": Registry(store).digests(model.space)}
    from flows.views.look import facts_view

    Output(as_json).show(told, lambda: facts_view(f"model {model.name}", told))


@models.command("export")
def models_export(
    ctx: typer.Context,
    space: Prefix,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder that is empty or does not exist.")],
    as_json: Json = False,
) -> None:
    """Copy a model to a folder that `SentenceTransformer(folder)` loads as it is."""
    from storage.catalogue import pick_model
    from tasks.release.model import write_out

    with Output(as_json).reserved() as output:
        store = _store(ctx)
        model = pick_model(store, space)
        write_out(store, model.space, folder)
        output.show({"space": model.space, "folder": str(folder.resolve())}, lambda: f"{model.name} is in {folder}")


@models.command("import")
def models_import(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder of an encoder, as safetensors.")],
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="What to call it.")] = None,
    as_json: Json = False,
) -> None:
    """Check a model and keep it, so that `reembed --encoder SPACE` can switch to it.

    The three newest that no release uses are kept.
    """
    from flows.run import recorded
    from storage.catalogue import pick_model
    from storage.outcome import Outcome
    from storage.spill import Workspace
    from tasks.release.model import bring_in

    with Output(as_json).reserved() as output:
        config, store = configuration(ctx), _store(ctx)
        with recorded(store, "import", config=config, lease=True) as run:
            workspace = Workspace(store, run.id)
            try:
                record = bring_in(store, workspace, folder, name, run.id)
            finally:
                workspace.close()
            run.conclude(Outcome.PASSED, f"the model {record.name} of space {record.space} is kept")
        told = pick_model(store, record.space)
        output.show(told.to_dict(), lambda: _views().models_view([told]))


def _store(ctx: typer.Context) -> Store:
    from storage.tables.format import check
    from storage.tables.store import Store

    store = Store(configuration(ctx).store.uri)
    check(store)
    return store


def _views() -> Any:
    """The views, imported where something is drawn."""
    from flows.views import models as views

    return views
