"""Ids by their beginnings, as people type them: the one that is meant, or those that may be."""

from __future__ import annotations

from collections.abc import Sequence

from storage.errors import InputError

__all__ = ["NAMED", "one_of"]

NAMED = 5  # candidates that an error names


def one_of(prefix: str, alike: Sequence[str], what: str) -> str | None:
    """The only id that begins so.

    Args:
        prefix: What somebody typed.
        alike: The ids that begin so; of many, some more than `NAMED` do.
        what: What they are the ids of, for the error: "run".

    Returns:
        The id; None where none begins so, or nothing was typed.

    Raises:
        InputError: Several begin so; it names them.
    """
    if not prefix or not alike:
        return None
    if len(alike) == 1:
        return alike[0]
    more = ", ..." if len(alike) > NAMED else ""
    named = ", ".join(alike[:NAMED])
    raise InputError(f"several {what}s begin with {prefix!r}: {named}{more}; give more of the one that you mean")
