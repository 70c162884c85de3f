"""The `[[sources]]` of a new configuration: the first one, and every key that a source of any kind takes."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from flows.config.toml import to_toml
from storage.errors import InputError

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

__all__ = ["first_source"]

WIDTH = 96
TABLES = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".parquet": "parquet"}
# What a name must be, as `storage.sources` says it; here so that a name is made of any folder's.
ALLOWED = "abcdefghijklmnopqrstuvwxyz0123456789_-"
GIVEN = ("name", "kind", "path")


def first_source(source: Path | None, base: Path) -> list[str]:
    """Write the first source, its other keys in comments, and in comments what the other kinds take.

    Args:
        source: A folder or a table; a made-up folder if None.
        base: The folder of the configuration, which relative paths start from.

    Raises:
        InputError: It is a file of no known kind.
    """
    kind = "folder" if source is None or source.is_dir() else TABLES.get(source.suffix.lower(), "")
    if not kind:
        raise InputError(f"{source}: is no folder and no file of these: {', '.join(TABLES)}")
    path = source or Path("docs")
    name = "".join(letter if letter in ALLOWED else "-" for letter in path.resolve().stem.lower()).strip("-_")
    lines = ["# Where documents come from; repeat this for each source. Kinds: folder, jsonl, csv, parquet, python"]
    lines += ["# (installed packages), or module:Class for a class of your own.", "[[sources]]"]
    lines += [f"name = {to_toml(name or 'docs')}", f"kind = {to_toml(kind)}"]
    lines += [f"path = {to_toml(_relative(path, base))}"]
    given = set(GIVEN)
    if kind != "folder":
        lines += ["# Which column holds what; id and text are needed."]
        lines += ['columns = { id = "id", text = "text" }']
        given.add("columns")
    explained: set[str] = set()
    lines += _keys(kind, given, explained)
    for other in ("folder", "jsonl", "csv", "parquet", "python"):
        if other != kind:
            lines += ["", "# [[sources]]", '# name = "..."', f"# kind = {to_toml(other)}"]
            lines += _keys(other, {"name", "kind"}, explained)
    return lines


def _keys(kind: str, given: set[str], explained: set[str]) -> Iterator[str]:
    """The keys of a kind in comments; what was explained for another kind is not explained again."""
    from storage.sources import SOURCES

    model: type[BaseModel] = SOURCES[kind].config
    for key, field in model.model_fields.items():
        if key not in given:
            yield from _key(key, field, explained)
        if key == "columns" and key not in explained:
            explained.add(key)
            yield from _columns()


def _key(key: str, field: FieldInfo, explained: set[str]) -> Iterator[str]:
    from pydantic import BaseModel

    about = field.description or ""
    if about not in explained:  # a key may mean something else in another kind
        yield from (f"#     {line}" for line in textwrap.wrap(about, WIDTH))
    explained.add(about)
    default = None if field.is_required() else field.get_default(call_default_factory=True)
    if isinstance(default, BaseModel):
        yield f'# {key} = {{ id = "id", text = "text" }}'
    elif default is None:
        yield f"# {key} =    ({'needed' if field.is_required() else 'not set'})"
    else:
        yield f"# {key} = {to_toml(default)}"


def _columns() -> Iterator[str]:
    """What `columns` may name beside id and text."""
    from storage.sources.config import Columns

    for key, field in Columns.model_fields.items():
        yield from textwrap.wrap(
            f"columns.{key}: {field.description}", WIDTH, initial_indent="#     ", subsequent_indent="#         "
        )


def _relative(path: Path, base: Path) -> str:
    """Write a path as the configuration reads it: relative to its folder where it lies below."""
    try:
        return path.resolve().relative_to(base.resolve()).as_posix()
    except ValueError:
        return str(path.resolve())
