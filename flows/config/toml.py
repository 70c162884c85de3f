"""Reads and writes TOML: the configuration file, its overrides from the environment, single values."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from storage.errors import InputError

__all__ = ["FILE", "Loc", "override", "read_toml", "to_toml"]

FILE = "tidemark.toml"
PREFIX = "TIDEMARK_"
NAMED = ("sources", "evaluation")  # lists of tables, each with a name
Loc = tuple[int | str, ...]

POSITION = re.compile(r"^(?P<what>.*?) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)$", re.S)


def read_toml(file: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        InputError: it is missing, cannot be read, or is no TOML; the text gives line and column.
    """
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise InputError(
            f"{file}: there is no such configuration file; write one with `tidemark init`, "
            "or name yours with `tidemark -c FILE ...` or TIDEMARK_CONFIG"
        ) from error
    except UnicodeDecodeError as error:
        before = error.object[: error.start]
        line = before.count(b"\n") + 1
        raise InputError(f"{file}, line {line}: byte {error.start} is not UTF-8; save the file as UTF-8") from error
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror}") from error
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(_where(file, text, str(error))) from error


def override(data: Mapping[str, Any], environ: Mapping[str, str]) -> tuple[dict[str, Any], dict[Loc, str]]:
    """Put the values of `TIDEMARK_<SECTION>__<KEY>` into what the file says.

    An item of a list goes by its name: `TIDEMARK_SOURCES__NOTES__PATH`. A value that starts with `[` or `{` is read as
    TOML.

    Args:
        data: What the file says.
        environ: The environment.

    Returns:
        The configuration's data, and the variable that each overridden key came from.
    """
    merged = {key: dict(value) if isinstance(value, Mapping) else value for key, value in data.items()}
    origins: dict[Loc, str] = {}
    for variable, text in sorted(environ.items()):
        if not variable.startswith(PREFIX) or "__" not in variable:
            continue
        section, *rest = variable.removeprefix(PREFIX).lower().split("__")
        loc: Loc = (section, *rest)
        target: Any = merged.setdefault(section, {})
        if section in NAMED:
            position, rest = _named(section, target, variable, rest)
            target = merged[section] = [dict(item) if isinstance(item, Mapping) else item for item in target]
            target, loc = target[position], (section, position, *rest)
        *inner, last = rest
        for key in inner:
            target = target.setdefault(key, {}) if isinstance(target, dict) else target
        if not isinstance(target, dict):
            raise InputError(f"{variable}: {'.'.join(map(str, loc[:-1]))} is no section of the configuration")
        target[last] = _value(variable, text)
        origins[loc] = variable
    return merged, origins


def to_toml(value: Any) -> str:
    """Write a value as TOML; a JSON string is a TOML string too."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return "[" + ", ".join(to_toml(inner) for inner in value) + "]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else str(value)


def _where(file: Path, text: str, message: str) -> str:
    """Give a TOML error its line and column, also at the end of the file, where tomllib gives none."""
    found = POSITION.match(message)
    if found is None:
        return f"{file}: is no valid TOML: {message}"
    lines = text.splitlines() or [""]
    line = int(found["line"] or len(lines))
    column = int(found["column"] or len(lines[-1]) + 1)
    shown = lines[line - 1].strip() if line <= len(lines) else ""
    return f"{file}, line {line}, column {column}: is no valid TOML: {found['what']}" + (f": {shown}" if shown else "")


def _named(section: str, listed: Any, variable: str, rest: list[str]) -> tuple[int, list[str]]:
    """Find the item of a list that a variable names; the variable has no other way to write `-` than `_`."""
    items = listed if isinstance(listed, list) else []
    names = [str(item.get("name", "")) if isinstance(item, Mapping) else "" for item in items]
    for position, name in enumerate(names):
        if len(rest) > 1 and re.sub(r"\W", "_", name.lower()) == rest[0]:
            return position, rest[1:]
    known = ", ".join(filter(None, names)) or "none"
    what = {"sources": "a source"}.get(section, f"an item of [[{section}]]")
    raise InputError(
        f"{variable}: must name {what} and its key, TIDEMARK_{section.upper()}__<NAME>__<KEY>; {section}: {known}"
    )


def _value(variable: str, text: str) -> Any:
    """Read a variable: a list or table as TOML, anything else as text, which pydantic turns into numbers."""
    if not text.lstrip().startswith(("[", "{")):
        return text
    import tomllib

    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{variable}: is no valid TOML list or table: {text}") from error
