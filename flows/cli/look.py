"""The commands that only look: search, releases, runs, show, diff."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from flows.cli.complete import release_numbers, releases_and_runs
from flows.cli.output import Json, Output, configuration
from storage.errors import InputError

if TYPE_CHECKING:
    from storage.tables.releases import Releases

__all__ = ["diff", "releases", "runs", "search", "show"]

_SHOWN = 50  # runs
Mode = Literal["auto", "dense", "text", "hybrid"]
InRelease = Annotated[
    int | None,
    typer.Option("--release", metavar="N", help="Another than the current one.", autocompletion=release_numbers),
]


def _numbered(metavar: str, told: str) -> Any:
    """The argument that is the number of a release."""
    return typer.Argument(metavar=metavar, help=told, show_default=False, autocompletion=release_numbers)


def search(
    ctx: typer.Context,
    text: Annotated[str | None, typer.Argument(help="What to look for.", show_default=False)] = None,
    queries: Annotated[
        Path | None, typer.Option("--queries", metavar="FILE", help="A file with one query a line, instead of TEXT.")
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, max=10_000, help="Hits a query.")] = 10,
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where",
            metavar="COLUMN=VALUE",
            help="Only chunks with this source, document or key; repeat it for more.",
            show_default=False,
        ),
    ] = None,
    mode: Annotated[
        Mode,
        typer.Option(
            "--mode",
            help="By vectors (dense), words (text) or both (hybrid); auto is hybrid where that was shown to help.",
        ),
    ] = "auto",
    rerank: Annotated[
        bool, typer.Option("--rerank/--no-rerank", help="Order the best hits once more, where the release can.")
    ] = True,
    release: InRelease = None,
    as_json: Json = False,
) -> None:
    """Find the chunks nearest to a text, with the release's own encoder, or those that share its words."""
    if (text is None) == (queries is None):
        raise InputError("give either a text to look for or --queries FILE")
    if text is not None and not text.strip():
        raise InputError("the text to look for is blank")
    from storage.filters import parse
    from tasks.search.log import QueryLog
    from tasks.search.places import Places
    from tasks.search.search import Search, read_queries

    fits = parse(where or [])
    asked = [text] if text is not None else read_queries(queries or Path())
    with Output(as_json).reserved() as output:
        config = configuration(ctx)
        device, threads = config.encoder.device, config.encoder.threads
        places = Places(config.sources, config.base)
        with QueryLog.of(config.store.uri, config.queries) as log:
            opened = Search(
                config.store.uri, release, device=device, threads=threads, mode=mode, rerank=rerank, log=log
            )
            for query, hits in opened.find(asked, k, fits, mode):
                located = places.located(hits)
                rows = [each.to_dict() for each in located]
                told = {"release": opened.release, "query": query, "mode": opened.mode(mode), "hits": rows}
                if queries is not None and as_json:
                    output.line(told)
                else:
                    output.show(
                        told, partial(_views().hits_view, opened.release, query, hits, [each.told for each in located])
                    )


def releases(ctx: typer.Context, as_json: Json = False) -> None:
    """List the releases, newest first."""
    from storage.tables.lease import holder
    from storage.timeline import timeline

    found = _releases(ctx)
    rows = timeline(found)
    Output(as_json).show(rows, lambda: _views().releases_view(rows, writer=holder(found.store)))


def runs(
    ctx: typer.Context,
    limit: Annotated[
        int | None, typer.Option("-n", "--limit", min=1, help="Runs to list; else 50, and all with --json.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List the runs, newest first, the failed ones too."""
    from storage.tables.runs import Runs

    # A table of thousands of rows is read by nobody and takes seconds to draw; a script may want all.
    rows = Runs(_releases(ctx).store).all(limit if limit or as_json else _SHOWN)
    Output(as_json).show(rows, lambda: _views().runs_view(rows))


def show(
    ctx: typer.Context,
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="[N|RUN]",
            help="Number of a release, or id of a run or its beginning.",
            show_default=False,
            autocompletion=releases_and_runs,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show a release (the current one by default) or a run in full."""
    found = _releases(ctx)
    if what is None or what.isdecimal():
        release = found.get(None if what is None else int(what))
        told = release.to_dict()
        Output(as_json).show(told, lambda: _views().facts_view(f"release {release.seq}", told))
        return
    from storage.tables.runs import Runs

    run = Runs(found.store).get(what)
    Output(as_json).show(run, lambda: _views().facts_view(f"run {run['run']}", run))


def diff(
    ctx: typer.Context,
    a: Annotated[int | None, _numbered("A", "Number of one release; else the last but one.")] = None,
    b: Annotated[int | None, _numbered("B", "Number of the other; else the current one.")] = None,
    queries: Annotated[
        Path | None,
        typer.Option(
            "--queries", metavar="FILE", help="Ask both: one query a line, or JSON lines with query and documents."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare two releases: documents, encoder, configuration and, with --queries, what they answer.

    Without a number the last two are compared, with one that release and the current one.
    """
    from storage.diff import diff as compare

    config = configuration(ctx)
    a, b = _two(_releases(ctx), a, b)
    difference = compare(config.store.uri, a, b)
    if queries is None:
        Output(as_json).show(difference.to_dict(), lambda: _views().diff_view(difference))
        return
    from tasks.learn.compare import compare as asked
    from tasks.search.search import Search

    with Output(as_json).reserved() as output:
        device, threads = config.encoder.device, config.encoder.threads
        first, second = (Search(config.store.uri, seq, device=device, threads=threads) for seq in (a, b))
        answers = asked(first, second, queries)
        told = difference.to_dict() | {"queries": answers.to_dict()}
        output.show(told, lambda: _views().diff_view(difference, answers))


def _two(found: Releases, a: int | None, b: int | None) -> tuple[int, int]:
    """The releases to compare: as many as were named, then the current one, then the one before it."""
    current = found.get().seq if b is None else b
    if a is not None:
        return a, current
    if current < 2:
        raise InputError("there is one release only; after the next refresh there are two to compare")
    return current - 1, current


def _releases(ctx: typer.Context) -> Releases:
    from storage.tables.format import check
    from storage.tables.releases import Releases
    from storage.tables.store import Store

    store = Store(configuration(ctx).store.uri)
    check(store)
    return Releases(store)


def _views() -> Any:
    """The views, imported where something is drawn."""
    from flows.views import look

    return look
