"""The figures of what is asked: whether questions moved, how many find nothing near, and what they are about."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from models.vectors import Vectors, unit
from storage.tables.queries import Logged
from tasks.watch.difference import difference, noise, summed
from tasks.watch.figures import Family, Figure

__all__ = ["QueryFigures", "content_gap", "measure_queries"]

HOURS = 24  # what counts as one night's queries
DAYS = 20  # before them, that they are compared with
SAMPLE = 1_000  # vectors of a night, and of the days before
FEWEST, FEWEST_BEFORE = 30, 100  # queries without which nothing is compared
LOW = 0.05  # quantile of the best scores of the days before, below which a score is low
NEAR = 0.7  # cosine similarity from which two queries are about one thing
GROUPS, EXAMPLES, GROUPED = 10, 3, 500
SEED = 0


@dataclass(frozen=True)
class QueryFigures:
    """What a night's queries say.

    Attributes:
        figures: The figures.
        notes: What could not be told and why, one line each.
    """

    figures: tuple[Figure, ...] = ()
    notes: tuple[str, ...] = ()


def measure_queries(logged: Logged, space: str, now: datetime) -> QueryFigures:
    """Compare the queries of the last day with those of the days before.

    The vectors are compared as documents are: the unbiased distance of their means (Gretton et al. 2012), which a
    history of nights judges. A best score is low where it is below what nearly all queries of the days before found.

    Args:
        logged: The log of the space.
        space: Id of the space.
        now: When the night began.
    """
    frame = logged.frame.filter(pl.col("time") <= now)
    since = now - timedelta(hours=HOURS)
    tonight = frame.filter(pl.col("time") > since)
    before = frame.filter((pl.col("time") <= since) & (pl.col("time") > since - timedelta(days=DAYS)))
    if frame.is_empty():
        return QueryFigures()
    if tonight.height < FEWEST or before.height < FEWEST_BEFORE:
        return QueryFigures(notes=(_too_few(tonight.height, before.height),))
    figures = [_moved(tonight, before, logged, space), _low(tonight, before, logged.vectors, space)]
    return QueryFigures(tuple(figure for figure in figures if figure is not None))


def content_gap(asked: pl.DataFrame, vectors: Vectors) -> list[dict[str, Any]]:
    """Group queries that nothing answers by what they are about, largest group first.

    Greedily: the most frequent query leads a group, and takes all that are near it; the next one that is left leads
    another. Where texts are kept, a group names three of its queries; where hashes are, their hashes.

    Args:
        asked: LOGGED columns.
        vectors: Of each, of shape (n, dimension).

    Returns:
        At most ten groups: `queries`, `best` and `examples` or `hashes`.
    """
    each = _distinct(asked).head(GROUPED)
    scaled = unit(vectors[each["at"].to_numpy()])
    free = np.ones(each.height, dtype=np.bool_)
    groups = []
    for leader in range(each.height):
        if free[leader]:
            mine = free & (scaled @ scaled[leader] >= NEAR)
            mine[leader] = True
            free &= ~mine
            groups.append(_told(each.filter(pl.Series(mine))))
    return sorted(groups, key=lambda group: -group["queries"])[:GROUPS]


def _moved(tonight: pl.DataFrame, before: pl.DataFrame, logged: Logged, space: str) -> Figure | None:
    sides = [_sampled(side.filter("encoded")) for side in (tonight, before)]
    if sides[0].height < FEWEST or sides[1].height < FEWEST_BEFORE:
        return None
    now, then = (logged.vectors(side["row"]) for side in sides)
    # What one person asks is asked again: equal questions are no independent draws, so they count as one document.
    names = [side.select(pl.coalesce("hash", "id"))["hash"].to_list() for side in sides]
    value = difference(summed(now, names[0]), summed(then, names[1]))
    detail = {"queries": tonight.height, "before": before.height, "compared": [len(now), len(then)]}
    return Figure(Family.QUERIES, "mean_difference", value, detail=detail, error=noise(now, names[0]), space=space)


def _low(
    tonight: pl.DataFrame, before: pl.DataFrame, vectors: Callable[[pl.Series], Vectors], space: str
) -> Figure | None:
    scored, usual = (side.filter(pl.col("best").is_not_null()) for side in (tonight, before))
    if scored.height < FEWEST or usual.height < FEWEST_BEFORE:
        return None
    limit = float(np.quantile(usual["best"].to_numpy(), LOW))
    # A hit that somebody opened answered, however far away it lies.
    unanswered = scored.filter((pl.col("best") < limit) & ~pl.col("clicked").fill_null(value=False))
    share = unanswered.height / scored.height
    listed = unanswered.filter("encoded")
    detail = {
        "of": scored.height,
        "limit": round(limit, 4),
        "gap": content_gap(listed, vectors(listed["row"])) if listed.height else [],
    }
    # By Laplace's rule: none of thirty is not surely none of a thousand.
    p = (unanswered.height + 1) / (scored.height + 2)
    error = math.sqrt(p * (1 - p) / scored.height)
    return Figure(Family.QUERIES, "low_scores", share, detail=detail, error=error, space=space)


def _sampled(asked: pl.DataFrame) -> pl.DataFrame:
    return asked if asked.height <= SAMPLE else asked.sample(SAMPLE, seed=SEED).sort("row")


def _distinct(asked: pl.DataFrame) -> pl.DataFrame:
    """Each question once, the most frequent first, with where its vector stands."""
    return (
        asked.with_row_index("at")
        .group_by(pl.coalesce("hash", "id").alias("question"), maintain_order=True)
        .agg(pl.col("at").first(), pl.len(), pl.col("text").first(), pl.col("hash").first(), pl.col("best").max())
        .sort("len", "at", descending=[True, False])
    )


def _told(group: pl.DataFrame) -> dict[str, Any]:
    texts, hashes = (group[name].drop_nulls().head(EXAMPLES).to_list() for name in ("text", "hash"))
    named: dict[str, Any] = {"examples": texts} if texts else {"hashes": hashes} if hashes else {}
    return {"queries": int(group["len"].sum()), "best": round(float(group["best"].max() or 0.0), 4), **named}  # type: ignore[arg-type]


def _too_few(tonight: int, before: int) -> str:
    days: Sequence[int] = (HOURS, DAYS)
    return (
        f"{tonight} queries in {days[0]} hours and {before} in the {days[1]} days before are too few to compare: that "
        f"takes {FEWEST} and {FEWEST_BEFORE}"
    )
