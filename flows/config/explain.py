"""Says exactly what is wrong in a configuration: file, section, key, and what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from flows.config.toml import Loc, to_toml
from storage.redaction import redact
from storage.sources import SOURCES

__all__ = ["explain", "models_in"]

# Pydantic's words for a shape, and ours: a user writes TOML, not instances of classes.
SHAPES = {
    "model_type": "must be a section: write [{key}] and its keys below",
    "dict_type": 'must be a table such as {{ id = "doc_id" }}',
    "tuple_type": 'must be a list such as ["a", "b"]',
    "missing": "is missing",
}


# Lists of tables, whose items go by their names.
TABLES: tuple[Loc, ...] = (("sources",), ("evaluation",))


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


def _sentence(loc: Loc, fault: Mapping[str, Any], owner: type[BaseModel] | None, data: Any) -> str:
    """Say what is wrong at one place."""
    key, kind = _dotted(loc, data), fault["type"]
    if kind == "extra_forbidden":
        return _unknown(loc, owner, data)
    if loc in TABLES and kind == "tuple_type":
        return f"{key} must be a list: write [[{key}]], with two brackets, above each of its tables"
    if kind in SHAPES:
        told = SHAPES[kind].format(key=key)
        field = owner.model_fields.get(str(loc[-1])) if owner is not None else None
        return f"{key} {told}" + (f": {field.description}" if field is not None and kind == "missing" else "")
    inner = (fault.get("ctx") or {}).get("error")
    message = str(inner) if inner is not None else fault["msg"].replace("Input should be", "must be")
    value = fault.get("input")
    shown = f" = {to_toml(redact(value, str(loc[-1])))}" if isinstance(value, str | int | float | bool) else ""
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
        if name and tuple(parts) in TABLES:
            parts.append(str(name))
        elif parts:
            parts[-1] += f"[{part}]"
    return ".".join(parts)


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
            model = SOURCES[kind].config if kind in SOURCES else model
        elif model is not None:
            field = model.model_fields.get(part)
            model = next(models_in(field), None) if field is not None else None
    return model


def models_in(field: FieldInfo) -> Iterator[type[BaseModel]]:
    """Yield the pydantic models that a value of a field may be, or hold."""
    return _models(field.annotation)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the pydantic models inside an annotation such as `tuple[Model, ...] | None`."""
    if isinstance(annotation, type) and not get_args(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)
