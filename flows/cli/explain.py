"""The command that says where a chunk comes from: `tidemark explain`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.look import InRelease
from flows.cli.output import Json, Output, configuration

if TYPE_CHECKING:
    from flows.config.schema import Config

__all__ = ["explain"]


def explain(
    ctx: typer.Context,
    chunk: Annotated[str, typer.Argument(help="Id of a chunk, as a hit of `search` shows it, or its beginning.")],
    release: InRelease = None,
    as_json: Json = False,
) -> None:
    """Say where a chunk comes from: source, revision, span, chunker, space, run, release."""
    from flows.views.explain import explain_view
    from storage.explain import explain as explained
    from storage.pinned import Pinned
    from tasks.search.places import Places, traced

    config = configuration(ctx)
    pinned = Pinned.open(config.store.uri, release)
    told = explained(pinned, chunk)
    told |= traced(Places(config.sources, config.base), told)
    told["file"] = _file(config, told["document"])
    told["cut"] = dict((pinned.release.to_dict()["config"] or {}).get("chunker") or {})
    Output(as_json).show(told, lambda: explain_view(told))


def _file(config: Config, document: Mapping[str, Any]) -> Path | None:
    """Where the document lies, as its source is configured now; None where it has no file."""
    from storage.sources.base import located

    for source in config.sources:
        path = getattr(source, "path", None)
        if source.name == document["source"] and isinstance(path, str) and "://" not in path:
            place = located(path, config.base).resolve()
            return place / document["id"] if source.kind == "folder" else place
    return None
