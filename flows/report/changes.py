"""What changed against the release before, in names: documents, sources, settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from flows.report.facts import Alteration, Named, Source
from flows.report.words import say
from storage.diff import Difference
from storage.hashing import document_key
from storage.pinned import Pinned
from storage.redaction import redact

__all__ = ["NAMED", "altered", "settings", "sources"]

NAMED = 10  # documents of a kind that are named
SETTINGS = 12
DULL = "code."  # versions of the program and of libraries; `diff` shows them


def altered(difference: Difference, before: Pinned, after: Pinned) -> tuple[Alteration, ...]:
    """Each kind of difference with its count and its first documents, those that differ in nothing left out."""
    found = []
    for kind, count in difference.counts.items():
        rows = getattr(difference, kind)[:NAMED]
        titles = _titles(before if kind == "removed" else after, rows)
        if count:
            found.append(Alteration(kind, count, tuple(map(_named, rows, titles))))
    return tuple(found)


def settings(difference: Difference) -> tuple[tuple[str, str, str], ...]:
    """What differs beside the documents: name, value before and now."""
    told = redact({name: list(pair) for name, pair in difference.facts.items() if not name.startswith(DULL)})
    named = sorted(told.items())[:SETTINGS]
    return tuple((say(name), _value(before), _value(after)) for name, (before, after) in named)


def sources(after: Pinned, before: Pinned | None, held: pl.DataFrame) -> tuple[Source, ...]:
    """Count a release by source.

    Args:
        after: The release.
        before: The one before.
        held: What is refused now, with its `source`.
    """
    columns = ["source", "n_chunks", "duplicate_of"]
    now = after.documents.ledger(columns).group_by("source").agg(
        pl.len().alias("documents"),
        pl.col("n_chunks").sum().alias("chunks"),
        pl.col("duplicate_of").count().alias("duplicates"),
    )  # fmt: skip
    then = pl.DataFrame(schema={"source": pl.String, "before": pl.UInt32})
    if before is not None:
        then = before.documents.ledger(["source"]).group_by("source").agg(pl.len().alias("before"))
    refused = held.group_by("source").agg(pl.len().alias("refused"))
    # Full, twice: a source that lost everything, or of which everything is refused, is what a person must see.
    both = now.join(then, on="source", how="full", coalesce=True)
    every = both.join(refused, on="source", how="full", coalesce=True).sort("source")
    return tuple(_source(row, compared=before is not None) for row in every.iter_rows(named=True))


def _source(row: Mapping[str, Any], *, compared: bool) -> Source:
    return Source(
        name=say(row["source"]),
        documents=row["documents"] or 0,
        before=(row["before"] or 0) if compared else None,
        chunks=row["chunks"] or 0,
        duplicates=row["duplicates"] or 0,
        refused=row["refused"] or 0,
    )


def _titles(pinned: Pinned, rows: Sequence[Mapping[str, Any]]) -> list[str | None]:
    keys = [document_key(row["source"], row["document"]) for row in rows]
    found = pinned.documents.titles(keys)
    return [found.get(key) for key in keys]


def _named(row: Mapping[str, Any], title: str | None) -> Named:
    was = row.get("before")
    note = f"was {was['source']}/{was['document']}" if was else title or ""
    return Named(say(row["source"]), say(row["document"]), say(note))


def _value(value: Any) -> str:
    return "" if value is None else say(value, 80)
