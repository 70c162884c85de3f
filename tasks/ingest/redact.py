"""Take out of documents what a rule forbids, before anything is hashed, judged, cut or kept of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from storage.errors import InputError

__all__ = ["MARK", "Redaction", "redact"]

MARK = "[redacted]"


@dataclass(frozen=True)
class Redaction:
    """What one rule takes out.

    The patterns are those of Rust's `regex`, which reads a text once whatever the pattern is: one of Python's may take
    years over a line (https://docs.rs/regex, "Untrusted input").

    Attributes:
        rule: Name of the rule.
        column: `text` or `title`.
        patterns: Regular expressions; every match of each becomes `MARK`.
    """

    rule: str
    column: str
    patterns: tuple[str, ...]

    def check(self, origin: str) -> None:
        """Refuse a pattern that matches where nothing is.

        Args:
            origin: File and entry of the rule, for the message.

        Raises:
            InputError: There is one.
        """
        for pattern in self.patterns:
            if pl.Series([""]).str.contains(pattern).item():
                raise InputError(f"{origin}: {pattern!r} matches where nothing stands: it would redact between letters")


def redact(frame: pl.DataFrame, redactions: Sequence[Redaction]) -> pl.DataFrame:
    """Put a mark in the place of what the rules find.

    Args:
        frame: Documents with normalised `text` and `title`.
        redactions: What to take out, in order.

    Returns:
        The frame with the column `redacted`: names of the rules that found something, a list a row.
    """
    found: list[pl.Expr] = []
    for number, redaction in enumerate(redactions):
        column = pl.col(redaction.column)
        hit = pl.any_horizontal([column.str.contains(pattern) for pattern in redaction.patterns])
        frame = frame.with_columns(hit.fill_null(value=False).alias(f"redacted_{number}"))
        for pattern in redaction.patterns:
            frame = frame.with_columns(column.str.replace_all(pattern, MARK))
        found.append(pl.when(f"redacted_{number}").then(pl.lit(redaction.rule)))
    names = pl.concat_list(found).list.drop_nulls() if found else pl.lit([], pl.List(pl.String))
    return frame.with_columns(names.alias("redacted")).drop(f"redacted_{n}" for n in range(len(redactions)))
