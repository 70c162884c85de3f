"""Reads the configuration file with its overrides from the environment, and says exactly what is wrong in it."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from storage.errors import InputError
from storage.redaction import redact
from storage.sources import SOURCES, resolve

__all__ = ["explain", "override", "read_toml"]

PREFIX = "TIDEMARK_"
Loc = tuple[int | str, ...]

POSITION = re.compile(r"^(?P<what>.*?) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)$", re.S)
# Pydantic's words for a shape, and ours: a user writes TOML, not instances of classes.
SHAPES = {
    "model_type": "must be a section: write [{key}] and its keys below",
    "dict_type": 'must be a table such as {{ id = "doc_id" }}',
    "tuple_type": 'must be a list such as ["a", "b"]',
    "missing": "is missing",
}


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
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(_where(file, text, str(error))) from error


def override(data: Mapping[str, Any], environ: Mapping[str, str]) -> tuple[dict[str, Any], dict[Loc, str]]:
    """Put the values of `TIDEMARK_<SECTION>__<KEY>` into what the file says.

    A source is named by its name: `TIDEMARK_SOURCES__NOTES__PATH`. A value that starts with `[` or `{` is read as TOML.

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
        if section == "sources":
            position, rest = _source(target, variable, rest)
            target = merged["sources"] = [dict(item) if isinstance(item, Mapping) else item for item in target]
            target, loc = target[position], ("sources", position, *rest)
        *inner, last = rest
        for key in inner:
            target = target.setdefault(key, {}) if isinstance(target, dict) else target
        if not isinstance(target, dict):
            raise InputError(f"{variable}: {'.'.join(map(str, loc[:-1]))} is no section of the configuration")
        target[last] = _value(variable, text)
        origins[loc] = variable
    return merged, origins


def explain(
    error: ValidationError, model: type[BaseModel], data: Mapping[str, Any], origin: str, origins: Mapping[Loc, str]
) -> str:
    """Write what pydantic found for people: one line a fault, with file, section and key, and what is allowed.

    Args:
        error: What was found.
        model: The configuration's class.
        data: What was validated.
        origin: The file's name.
        origins: The variables that overrode keys.
    """
    lines = []
    for fault in error.errors():
        loc = fault["loc"]
        variable = next((name for at, name in origins.items() if loc[: len(at)] == at), None)
        lines.append(f"{variable or origin}: {_sentence(loc, fault, _owner(model, data, loc), data)}")
    return "\n".join(dict.fromkeys(lines))


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


def _source(sources: Any, variable: str, rest: list[str]) -> tuple[int, list[str]]:
    """Find the source that a variable names; the variable has no other way to write `-` than `_`."""
    items = sources if isinstance(sources, list) else []
    names = [str(item.get("name", "")) if isinstance(item, Mapping) else "" for item in items]
    for position, name in enumerate(names):
        if len(rest) > 1 and re.sub(r"\W", "_", name.lower()) == rest[0]:
            return position, rest[1:]
    known = ", ".join(filter(None, names)) or "none"
    raise InputError(f"{variable}: must name a source and its key, TIDEMARK_SOURCES__<NAME>__<KEY>; sources: {known}")


def _value(variable: str, text: str) -> Any:
    """Read a variable: a list or table as TOML, anything else as text, which pydantic turns into numbers."""
    if not text.lstrip().startswith(("[", "{")):
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{variable}: is no valid TOML list or table: {text}") from error


def _sentence(loc: Loc, fault: Mapping[str, Any], owner: type[BaseModel] | None, data: Any) -> str:
    """Say what is wrong at one place."""
    key, kind = _dotted(loc, data), fault["type"]
    if kind == "extra_forbidden":
        return _unknown(loc, owner, data)
    if loc == ("sources",) and kind == "tuple_type":
        return "sources must be a list: write [[sources]], with two brackets, above each source"
    if kind in SHAPES:
        told = SHAPES[kind].format(key=key)
        field = owner.model_fields.get(str(loc[-1])) if owner is not None else None
        return f"{key} {told}" + (f": {field.description}" if field is not None and kind == "missing" else "")
    inner = (fault.get("ctx") or {}).get("error")
    message = str(inner) if inner is not None else fault["msg"].replace("Input should be", "must be")
    value = fault.get("input")
    shown = f" = {_toml(redact(value, str(loc[-1])))}" if isinstance(value, str | int | float | bool) else ""
    # A validator over a whole section names its keys itself.
    return f"{key}{shown}: {message}" if key else message


def _unknown(loc: Loc, owner: type[BaseModel] | None, data: Any) -> str:
    """Refuse a key by name, with the nearest valid one."""
    valid = list(owner.model_fields) if owner is not None else []
    wrong = str(loc[-1])
    near = difflib.get_close_matches(wrong, valid, n=1, cutoff=0.55)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    if len(loc) == 1:
        return f"unknown section [{wrong}]{hint or ';'} sections are {', '.join(valid)}"
    section = _dotted(loc[:-1], data)
    return f"unknown key {section}.{wrong}{hint or ';'} valid keys of {section} are {', '.join(valid)}"


def _dotted(loc: Sequence[int | str], data: Any) -> str:
    """Write a place as `section.key`; a source goes by its name."""
    parts: list[str] = []
    for position, part in enumerate(loc):
        if not isinstance(part, int):
            parts.append(part)
            continue
        item = _at(data, loc[: position + 1])
        name = item.get("name") if isinstance(item, Mapping) else None
        if name and parts == ["sources"]:
            parts.append(str(name))
        elif parts:
            parts[-1] += f"[{part}]"
    return ".".join(parts)


def _toml(value: str | float | bool) -> str:
    """Write a value as TOML would."""
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


def _at(data: Any, loc: Sequence[int | str]) -> Any:
    """Look up what lies at a place, None where nothing does."""
    for part in loc:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def _owner(model: type[BaseModel] | None, data: Any, loc: Sequence[int | str]) -> type[BaseModel] | None:
    """Find the model whose field or extra key the place names; a source has its kind's own model."""
    for position, part in enumerate(loc[:-1]):
        if isinstance(part, int):
            kind = (_at(data, loc[: position + 1]) or {}).get("kind") if loc[0] == "sources" and position == 1 else None
            model = resolve(SOURCES[kind]).Config if kind in SOURCES else model
        elif model is not None:
            field = model.model_fields.get(part)
            model = next(_models(field.annotation), None) if field is not None else None
    return model


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the pydantic models inside an annotation such as `tuple[Model, ...] | None`."""
    if isinstance(annotation, type) and not get_args(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)
