"""Split pairs into train, dev and test, so that no duplicate cluster and no source group is in two of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from storage.hashing import digest

__all__ = ["PLACES", "Division", "divide", "part_of"]

# `fixed` is the part that a judged set gives a pair; null for one whose part is chosen here.
PLACES = pl.Schema(dict.fromkeys(["id", "source", "content", "group", "asked", "fixed"], pl.String))

_SALT = "tidemark split 1"  # another one would move every pair of every store
_LARGEST = 0.5  # share of its source's pairs beyond which a group is no group: one part would be all or nothing
_PARTS = ("test", "dev", "train")  # a document that is judged in two parts belongs to the first


@dataclass(frozen=True)
class Division:
    """Which part each pair is in.

    Attributes:
        placed: id, cluster and split of every pair that has a part; in the order of the pairs.
        dropped: Reason to the number of pairs that have none.
        notes: What a person should know of how the split was made, one line each.
    """

    placed: pl.DataFrame
    dropped: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def part_of(member: str, dev: float, test: float) -> str:
    """The part that a seeded hash gives a component by its name: the same every night, whatever else there is."""
    place = _place(member)
    return "test" if place < test else "dev" if place < test + dev else "train"


def divide(pairs: pl.DataFrame, alike: pl.DataFrame, *, dev: float, test: float) -> Division:
    """Choose the part of every pair.

    Contents that are nearly equal, or that answer the same question, are a cluster. A group, or a cluster without one,
    is a component, which has one part: the one for which a judged set holds back one of its documents, else the one
    that a hash of its name gives it. A cluster that reaches into two groups would join them, and in time all of them:
    it is kept in one and leaves the other. Pairs of judged sets keep the part of their set; a document that one holds
    back is trained on by none.

    Args:
        pairs: PLACES.
        alike: a, b: contents that are nearly equal.
        dev: Share of the pairs that choose, about.
        test: Share of the pairs that judge, about.
    """
    clustered = pairs.with_row_index("at").join(_clusters(pairs, alike), on="content", how="left")
    kept, spanning = _one_group(clustered)
    components, notes = _components(kept)
    parts = _parts(components, dev, test)
    # Left, twice: every pair has a component, and few components or clusters have a judged set's word on them.
    placed = components.join(parts, on="component", how="left", maintain_order="left").join(
        _judged(components, "cluster", "judged"), on="cluster", how="left", maintain_order="left"
    )
    held = pl.col("judged").is_in(["test", "dev"])
    leaks = (pl.col("fixed") == "train") & held
    elsewhere = pl.col("fixed").is_null() & pl.col("judged").is_not_null() & (pl.col("judged") != pl.col("part"))
    fitting = placed.filter(~(leaks | elsewhere).fill_null(False))
    result = fitting.sort("at").select("id", "cluster", pl.coalesce("fixed", "part").alias("split"))
    counts = {"spanning": spanning, "judged": placed.height - fitting.height}
    return Division(result, {reason: count for reason, count in counts.items() if count}, notes)


def _clusters(pairs: pl.DataFrame, alike: pl.DataFrame) -> pl.DataFrame:
    """Content and cluster: the smallest content that it is connected with."""
    contents = pairs.select("content").unique().sort("content").with_row_index("number")
    first = pairs.group_by("asked").agg(pl.col("content").min().alias("a"))
    # Inner: every question has a first content, to which each other one that it is asked of is tied.
    ties = pairs.join(first, on="asked", how="inner").select("a", pl.col("content").alias("b"))
    both = pl.concat([ties, alike.select("a", "b")]).filter(pl.col("a") != pl.col("b")).unique()
    # Inner: what a chosen pair has no part in ties nothing.
    edges = both.join(contents.rename({"content": "a", "number": "i"}), on="a", how="inner").join(
        contents.rename({"content": "b", "number": "j"}), on="b", how="inner"
    )
    size = contents.height
    graph = coo_array((np.ones(edges.height, bool), (edges["i"].to_numpy(), edges["j"].to_numpy())), (size, size))
    labels = connected_components(graph, directed=False)[1] if size else np.empty(0, np.int32)
    named = contents.with_columns(pl.Series("label", labels))
    return named.select("content", pl.col("content").min().over("label").alias("cluster"))


def _one_group(pairs: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """Keep each cluster in one group, and those pairs of it that have none; judged pairs stay wherever they are."""
    # By a hash, not by the name: else the first names of the alphabet would take everything.
    ranks = pairs.select(pl.col("group").drop_nulls().unique().sort())
    ranked = ranks.with_columns(pl.Series("rank", [_place(name) for name in ranks["group"]], dtype=pl.Float64))
    # Left: a pair without a group has no rank, and takes the group of its cluster.
    found = pairs.join(ranked, on="group", how="left", maintain_order="left")
    home = pl.col("group").sort_by("rank", nulls_last=True).first().over("cluster")
    homed = found.with_columns(home.alias("home")).drop("rank")
    stay = pl.col("group").is_null() | (pl.col("group") == pl.col("home")) | pl.col("fixed").is_not_null()
    kept = homed.filter(stay)
    return kept, homed.height - kept.height


def _components(pairs: pl.DataFrame) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Add `component`: the group, or the cluster where there is none or where the group is most of its source."""
    free = pairs.filter(pl.col("fixed").is_null())
    sizes = free.group_by("source").agg(pl.len().alias("all"))
    # Inner: a group's pairs beside those of its source. Sorted, so that the notes are the same every time.
    shares = free.group_by("source", "home").len().join(sizes, on="source", how="inner").sort("source", "home")
    judged = free.join(_judged(pairs, "home", "judged"), on="home", how="inner").group_by("source").len("held")
    crowded = judged.join(sizes, on="source", how="inner").filter(pl.col("held") > pl.col("all") * _LARGEST)
    large = shares.filter(pl.col("home").is_not_null() & (pl.col("len") > pl.col("all") * _LARGEST))
    notes = [
        f"source {source!r}: the group {home!r} holds {count:,} of {every:,} pairs, so its clusters are split instead"
        for source, home, count, every in large.iter_rows()
    ]
    notes += [
        f"source {source!r}: judged sets hold back groups with {held:,} of {every:,} pairs, so clusters are instead"
        for source, held, every in crowded.sort("source").iter_rows()
    ]
    without = pl.col("home").is_in(large["home"].implode()) | pl.col("source").is_in(crowded["source"].implode())
    component = pl.when(pl.col("home").is_null() | without).then("cluster").otherwise("home")
    # A cluster has one home, but may reach over two sources of which one falls back: then all of it does.
    alone = (component == pl.col("cluster")).any().over("cluster")
    return pairs.with_columns(pl.when(alone).then("cluster").otherwise(component).alias("component")), tuple(notes)


def _judged(pairs: pl.DataFrame, by: str, name: str) -> pl.DataFrame:
    """What judged sets say of components or clusters: `test` before `dev`, and `train` of clusters alone."""
    wanted = _PARTS if by == "cluster" else _PARTS[:2]
    order = pl.col("fixed").replace_strict({part: rank for rank, part in enumerate(_PARTS)}, return_dtype=pl.Int8)
    found = pairs.filter(pl.col(by).is_not_null() & pl.col("fixed").is_in(wanted))
    return found.group_by(by).agg(pl.col("fixed").sort_by(order).first().alias(name))


def _parts(pairs: pl.DataFrame, dev: float, test: float) -> pl.DataFrame:
    """Component and part; a part that no hash fell into gets the component whose hash came nearest."""
    free = pairs.filter(pl.col("fixed").is_null()).select(pl.col("component").unique().sort())["component"].to_list()
    judged = dict(_judged(pairs, "component", "part").iter_rows())
    chosen = {name: part_of(name, dev, test) for name in free if name not in judged}
    waiting = sorted((name for name, part in chosen.items() if part == "train"), key=_place)
    for part in _PARTS[:2]:
        if len(waiting) > 1 and part not in {*chosen.values(), *judged.values()}:
            chosen[waiting.pop(0)] = part
    chosen |= judged
    rows = {"component": list(chosen), "part": list(chosen.values())}
    return pl.DataFrame(rows, schema={"component": pl.String, "part": pl.String})


def _place(member: str) -> float:
    """From 0 to 1, evenly spread over names."""
    return int(digest(f"{_SALT}\x1f{member}")[:12], 16) / 16**12
