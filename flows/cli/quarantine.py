"""The commands about refused documents: quarantine list, show, retry, waive, unwaive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.output import Json, Output, configuration, misplaced

if TYPE_CHECKING:
    from flows.quarantine import Waiving

__all__ = ["quarantine"]

quarantine = typer.Typer(
    invoke_without_command=True,
    help="The documents that were refused: list, show, retry, waive, unwaive.",
    rich_markup_mode="rich",
)

Document = Annotated[
    str, typer.Argument(metavar="DOC", help="Id of the document, alone or as source/id, or the beginning of its key.")
]
Source = Annotated[str | None, typer.Option("--source", metavar="NAME", help="Of this source alone.")]


@quarantine.command("list")
def list_(
    ctx: typer.Context,
    source: Source = None,
    waived: Annotated[
        bool, typer.Option("--waived", help="List the waivers instead, of indexed documents too.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the refused documents with rule, reason and attempts, newest first."""
    from flows.quarantine import listed
    from flows.views.quarantine import list_view, waivers_view

    found = listed(configuration(ctx), source)
    if waived:
        Output(as_json).show(found.waivers, lambda: waivers_view(found.waivers))
    else:
        Output(as_json).show(found.rows, lambda: list_view(found))


@quarantine.callback()
def quarantined(ctx: typer.Context, source: Source = None, as_json: Json = False) -> None:
    """The documents that were refused; without a command, lists them."""
    if ctx.invoked_subcommand is None:
        list_(ctx, source, as_json=as_json)
    elif source is not None or as_json:  # they would be the list's, and a waiver would be of any source
        raise misplaced(ctx)


@quarantine.command("show")
def show(ctx: typer.Context, document: Document, source: Source = None, as_json: Json = False) -> None:
    """Show a refused document: excerpt, rule, reason, file and line, since when, and what can be done."""
    from flows.quarantine import show as shown
    from flows.views.quarantine import show_view

    rows = shown(configuration(ctx), document, source)
    Output(as_json).show(rows, lambda: show_view(rows))


@quarantine.command("retry")
def retry(
    ctx: typer.Context,
    documents: Annotated[list[str] | None, typer.Argument(metavar="DOC", help="Ids of documents.")] = None,
    rule: Annotated[str | None, typer.Option("--rule", metavar="RULE", help="All that this rule refuses.")] = None,
    source: Source = None,
    as_json: Json = False,
) -> None:
    """Have refused documents judged anew by the next refresh although nothing changed."""
    from flows.quarantine import retry as tried
    from flows.views.quarantine import retry_view

    rows = tried(configuration(ctx), documents or (), rule, source)
    told = {"documents": [{name: row[name] for name in ("source", "document", "rule")} for row in rows]}
    Output(as_json).show(told, lambda: retry_view(rows))


@quarantine.command("waive")
def waive(
    ctx: typer.Context,
    document: Document,
    reason: Annotated[
        str, typer.Option("--reason", metavar="WHY", help="The reason; it is recorded with who and when.")
    ],
    rule: Annotated[
        str | None,
        typer.Option(
            "--rule", metavar="RULE", help="The rule.  [default: the one that refuses it]", show_default=False
        ),
    ] = None,
    source: Source = None,
    as_json: Json = False,
) -> None:
    """Let a refused document in as it is, until its content or the rule changes."""
    from flows.quarantine import waive as waived

    _show(waived(configuration(ctx), document, rule, reason, source), as_json)


@quarantine.command("unwaive")
def unwaive(
    ctx: typer.Context,
    document: Document,
    rule: Annotated[str | None, typer.Option("--rule", metavar="RULE", help="This waiver alone.")] = None,
    source: Source = None,
    as_json: Json = False,
) -> None:
    """Take waivers back: the next refresh judges the document by all rules again."""
    from flows.quarantine import unwaive as taken_back

    _show(taken_back(configuration(ctx), document, rule, source), as_json)


def _show(result: Waiving, as_json: bool) -> None:
    from flows.views.quarantine import waiving_view

    told = {"message": result.message, "waivers": [each.to_dict() for each in result.waivers]}
    Output(as_json).show(told, lambda: waiving_view(result))
