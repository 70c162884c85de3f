"""Cells of a table made plain: what each column is for decides what a value may be, and says what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from storage.encoding import decode
from storage.sources.base import digest

__all__ = ["Convert", "Fault", "Unfit", "content_digest", "identity", "json_text", "plain", "queries", "shown", "text"]

Convert = Callable[[Any], Any]

_JSON = orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS
_SHOWN = 80  # characters of a value that a message shows


class Unfit(ValueError):
    """A value that cannot become what its column is for."""


class Fault(NamedTuple):
    """Stands for a value that could not even be taken out of its file.

    Attributes:
        why: What is wrong, to follow the name of the column.
        content: Digest of what stands there.
    """

    why: str
    content: str


def identity(value: Any) -> str:
    """An id: a text, or a number that all tools spell alike."""
    if isinstance(value, str | bytes):
        return text(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))  # integers turn into floats where a column has gaps
    if isinstance(value, bool | float) or not isinstance(value, int | UUID):
        raise Unfit(f"is no id: {shown(value)}; write it as a string")
    return str(value)


def text(value: Any) -> str:
    """A text, or its bytes."""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return decode(value)
    raise Unfit(f"is no text: {shown(value)}")


def plain(value: Any) -> str:
    """A text, or another single value as JSON spells it."""
    if isinstance(value, list | dict):
        raise Unfit(f"is no plain value: {shown(value)}")
    if isinstance(value, str | bytes):
        return text(value)
    return json_text(value).strip('"')


def queries(value: Any) -> list[str]:
    """One query, or a list of them, which in a text is JSON."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = orjson.loads(value)  # how a list stands in a CSV cell
        except orjson.JSONDecodeError:
            return [value]
    if isinstance(value, str):
        return [value] if value.strip() else []
    if isinstance(value, list) and all(isinstance(query, str) for query in value):
        return value
    raise Unfit(f"is neither a query nor a list of queries: {shown(value)}")


def json_text(value: Any) -> str:
    """Spell a value as JSON.

    Raises:
        Unfit: JSON cannot hold it, or is not written so deep: the parser reads deeper than the writer goes.
    """
    try:
        return orjson.dumps(value, default=_foreign, option=_JSON).decode()
    except TypeError as error:
        if isinstance(error.__cause__, Unfit):
            raise error.__cause__ from error
        if "ecursion" in str(error):
            raise Unfit("is nested more than 250 levels deep: flatten it, or leave it out") from error
        raise Unfit(f"cannot be kept as JSON: {error}; write it as a string") from error


def shown(value: Any) -> str:
    """The beginning of a value, within quotes."""
    try:
        return repr((value if isinstance(value, str) else json_text(value))[:_SHOWN])
    except Unfit as unfit:
        return f"a {type(value).__name__} that {unfit}"


def content_digest(cells: Mapping[str, Any]) -> str:
    """Hash the cells of a row that cannot be kept, so that another content of it is known as such."""
    try:
        return digest(orjson.dumps(cells, default=str, option=_JSON))
    except TypeError:
        return digest(*_flat(cells))


def _flat(value: Any) -> Iterator[bytes]:
    """Spell a value of any depth without recursion."""
    pending = [value]
    while pending:
        here = pending.pop()
        if isinstance(here, dict):
            yield b"{%d" % len(here)
            pending.extend(part for item in here.items() for part in item)
        elif isinstance(here, list | tuple):
            yield b"[%d" % len(here)
            pending.extend(here)
        else:
            yield repr(here).encode(errors="backslashreplace")


def _foreign(value: Any) -> Any:
    if isinstance(value, Fault):
        raise Unfit(value.why)
    return decode(value) if isinstance(value, bytes) else str(value)
