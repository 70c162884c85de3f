"""The command that writes a commented configuration: `tidemark init`."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.init_sources import first_source
from flows.cli.output import Loudness, loudness
from flows.config.toml import FILE, to_toml
from storage.errors import InputError

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["init", "template"]

WIDTH = 100
# Folders that people keep documents in, looked for where no source is named.
USUAL = ("docs", "notes", "documents", "content", "data")


def init(
    ctx: typer.Context,
    source: Annotated[
        Path | None,
        typer.Argument(help="The first source: a folder, or a JSONL, CSV or Parquet file.", show_default=False),
    ] = None,
) -> None:
    """Write a commented tidemark.toml; asks nothing and never overwrites."""
    file = Path(ctx.obj or FILE)
    if file.exists():
        raise InputError(f"{file} is there already; edit it, or write another with `tidemark -c OTHER.toml init`")
    if not file.parent.is_dir():
        raise InputError(f"{file.parent} is no folder; create it first")
    if source is None:
        source = next((Path(name) for name in USUAL if Path(name).is_dir()), None)
    elif not source.exists():
        raise InputError(f"{source}: there is no such folder or file")
    text = template(source, file.parent)
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError as error:
        raise InputError(f"{file} was written by somebody else this moment") from error
    typer.echo(f"wrote {file}")
    if loudness() is Loudness.QUIET:
        return
    if source is None:
        typer.echo("name a source in it, then try `tidemark plan` and `tidemark refresh`", err=True)
    else:
        typer.echo(f"it indexes {source}; try `tidemark plan`, then `tidemark refresh`", err=True)


def template(source: Path | None, base: Path) -> str:
    """Write a configuration whose every key is explained and has its default.

    Args:
        source: The first source: a folder or a table; a made-up one if None.
        base: The folder of the file, which relative paths start from.

    Returns:
        TOML that `Config` accepts.
    """
    from pydantic import BaseModel

    from flows.config.explain import models_in
    from flows.config.schema import Config

    parts = [
        "# Tidemark: what is indexed, how, and what must hold before it is published.",
        "# Lines that start with # are the defaults. Paths are relative to this file. A variable such as",
        "# TIDEMARK_STORE__URI overrides a key. Next: `tidemark plan`, `tidemark refresh`, `tidemark search TEXT`.",
    ]
    defaults = Config.model_validate({})
    for name, field in Config.model_fields.items():
        parts.append("")
        if name == "sources":
            parts += first_source(source, base)
            continue
        parts.append(f"# {field.description}")
        value = getattr(defaults, name)
        # A list of tables has no defaults of its own: it shows which keys one of them takes.
        parts += _section(name, value) if isinstance(value, BaseModel) else _example(name, next(models_in(field)))
    return "\n".join(parts) + "\n"


SET = {("store", "uri"), ("encoder", "name")}


def _section(name: str, section: BaseModel) -> list[str]:
    """Write a section with its defaults, and the sections in it after its own keys, as TOML wants them."""
    from pydantic import BaseModel

    from flows.config.explain import models_in

    lines, inside = [f"[{name}]"], list[str]()
    for key, field in type(section).model_fields.items():
        value = getattr(section, key)
        if isinstance(value, BaseModel):
            inside += ["", f"# {field.description}", *_section(f"{name}.{key}", value)]
            continue
        if value is None and (model := next(models_in(field), None)):
            inside += ["", f"# {field.description}", *_example(f"{name}.{key}", model, "[{}]")]
            continue
        lines += [f"# {line}" for line in textwrap.wrap(field.description or "", WIDTH)]
        shown = f"{key} = {to_toml(value)}" if value is not None else f"# {key} =    (not set)"
        lines.append(shown if (name, key) in SET else f"# {shown.removeprefix('# ')}")
    return lines + inside


def _example(name: str, model: type[BaseModel], heading: str = "[[{}]]") -> list[str]:
    """Write, in comments, a section that is not there unless somebody writes it."""
    lines = [f"# {heading.format(name)}"]
    for key, field in model.model_fields.items():
        default = "   (needed)" if field.is_required() else "   (not set)" if field.default is None else ""
        shown = default or to_toml(field.get_default(call_default_factory=True))
        lines += [f"#     {line}" for line in textwrap.wrap(field.description or "", WIDTH - 4)]
        lines.append(f"# {key} = {shown}")
    return lines
