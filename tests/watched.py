"""Nights for the tests of watching: what arrived, without a run around it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from tasks.watch.config import DriftConfig
from tasks.watch.figures import Figure, Judged
from tasks.watch.judge import PastNight
from tasks.watch.night import ARRIVALS, CHUNKS, TEXTS, Night

__all__ = ["CONFIG", "START", "brought", "past"]

START = datetime(2026, 1, 1, 2, tzinfo=UTC)
CONFIG = DriftConfig(least=4, least_nights=3, nights=6)


def brought(
    rows: Iterable[tuple[str, str, str]],
    number: int = 0,
    sources: Sequence[str] = ("notes",),
    known: Iterable[str] = ("notes",),
    duplicates: Iterable[str] = (),
    facts: Mapping[str, Any] | None = None,
    **others: Any,
) -> Night:
    """A night on which documents arrived: source, id and text of each; `facts` are columns of all of them."""
    full = [(f"{source}/{name}", source, name, text) for source, name, text in rows]
    texts = pl.DataFrame(full, schema=list(TEXTS)[:4], orient="row")
    told = {"licence": None, "timestamp": None} | dict(facts or {})
    texts = texts.with_columns(pl.lit(value, TEXTS[name]).alias(name) for name, value in told.items())
    copies = set(duplicates)
    arrivals = pl.DataFrame([(*row[:3], row[2] in copies) for row in full], schema=ARRIVALS, orient="row")
    chunks = pl.DataFrame([(f"{row[0]}#0", *row[:3]) for row in full], schema=CHUNKS, orient="row")
    when = START + timedelta(days=number)
    return Night(
        f"run{number:03d}",
        when,
        tuple(sources),
        frozenset(known),
        arrivals,
        lambda: [texts],
        lambda: [chunks],
        **others,
    )


def past(number: int, figures: Iterable[Figure]) -> PastNight:
    """A night that published, as later ones see it."""
    run = f"run{number:03d}"
    judged = tuple(Judged(each, None) for each in figures)
    return PastNight(run, run, number + 1, START + timedelta(days=number), judged)
