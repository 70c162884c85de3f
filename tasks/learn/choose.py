"""Choose among candidates: each question once, none that has many answers, an even share a kind and source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

__all__ = ["NARROW", "choose"]

NARROW = ["id", "source", "content_hash", "kind", "group", "fixed", "asked", "key", "grade"]

# Of two kinds that ask the same of a document the first is kept: what people asked before what texts suggest.
_ORDER = ("judged", "feedback", "queries", "docstrings", "headings", "titles", "synthetic")
_PEOPLE = ("judged", "feedback")
_ANSWERS = 3  # contents that a question may be cut from before it says nothing


def choose(found: pl.DataFrame, most: int) -> tuple[pl.DataFrame, dict[str, int]]:
    """Choose by hashes alone: whatever the order of the candidates, the same are chosen.

    Args:
        found: NARROW columns of the candidates.
        most: Pairs at most, beside those that judged sets hold back.

    Returns:
        The chosen rows sorted by id, and the reasons why the others are none with their number.
    """
    rank = pl.col("kind").replace_strict({kind: at for at, kind in enumerate(_ORDER)}, return_dtype=pl.Int8)
    each = found.sort(rank, "id").unique(["asked", "key"], keep="first", maintain_order=True)
    people = each.filter(pl.col("kind").is_in(_PEOPLE))
    texts = each.filter(~pl.col("kind").is_in(_PEOPLE))
    clear = texts.filter(pl.col("content_hash").n_unique().over("asked") <= _ANSWERS)
    # One answer each: within a batch of training the others would count as wrong.
    single = clear.unique("asked", keep="first", maintain_order=True)
    # Anti: where people said what answers a question, a text does not.
    unasked = single.join(people.filter(pl.col("grade") > 0), on="asked", how="anti", maintain_order="left")
    whole = pl.concat([people, unasked])
    held = whole.filter(pl.col("fixed").is_in(["dev", "test"]))
    free = whole.filter(~pl.col("fixed").is_in(["dev", "test"]).fill_null(False))
    positive = _shared(free.filter(pl.col("grade") > 0), most)
    # Semi: what was shown and not clicked says something only beside what was clicked.
    negative = free.filter(pl.col("grade") == 0).join(positive, on="asked", how="semi", maintain_order="left")
    dropped = {
        "duplicate": found.height - each.height + clear.height - unasked.height,
        "ambiguous": texts.height - clear.height,
        "beyond": free.filter(pl.col("grade") > 0).height - positive.height,
    }
    chosen = pl.concat([held, positive, negative]).sort("id")
    return chosen, {reason: count for reason, count in dropped.items() if count}


def _shared(pairs: pl.DataFrame, most: int) -> pl.DataFrame:
    """At most so many pairs: where a kind of a source has fewer than its share, the others have more."""
    if pairs.height <= most:
        return pairs
    cells = pairs.group_by("kind", "source").len().sort("len", "kind", "source")
    quotas = _quotas(cells["len"].to_list(), most)
    shares = cells.select("kind", "source", pl.Series("quota", quotas, dtype=pl.Int64))
    # Inner: each cell has a quota. Ids are hashes: the smallest of them are a fair sample that a new night keeps.
    ranked = pairs.join(shares, on=["kind", "source"], how="inner", maintain_order="left")
    return ranked.filter(pl.col("id").rank("ordinal").over("kind", "source") <= pl.col("quota")).drop("quota")


def _quotas(sizes: Sequence[int], most: int) -> list[int]:
    quotas, left = [], most
    for at, size in enumerate(sizes):
        quotas.append(min(size, left // (len(sizes) - at)))
        left -= quotas[-1]
    return quotas


def counted(reasons: Sequence[Mapping[str, int]]) -> dict[str, int]:
    """Reasons of several steps together."""
    names = sorted({name for part in reasons for name in part})
    return {name: sum(part.get(name, 0) for part in reasons) for name in names}
