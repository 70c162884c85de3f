"""Texts that are nearly equal: word trigrams in common, found exactly by an inverted index of the rare ones."""

from __future__ import annotations

import polars as pl

__all__ = ["NEAR", "near_pairs", "shingles"]

NEAR = pl.Schema({"a": pl.UInt32, "b": pl.UInt32, "similarity": pl.Float64})

_CROWD = 200  # texts that share a trigram; of more than these each is compared with the next alone
_BLOCK = 20_000  # candidates that are compared at once


def shingles(texts: pl.DataFrame) -> pl.DataFrame:
    """The word trigrams of texts as 64-bit numbers, each once a text; a shorter text is one by itself.

    The numbers mean something within one process of one version of polars: they are for comparing, not for keeping.

    Args:
        texts: row (a number of its own), text.

    Returns:
        row, shingle.
    """
    words = (
        texts.select(
            pl.col("row").cast(pl.UInt32),
            # A character of a script without spaces between words is a word.
            pl.col("text").str.to_lowercase().str.extract_all(r"[\p{Han}\p{Hiragana}\p{Katakana}]|\w+").alias("word"),
        )
        .with_columns(pl.col("word").list.len().alias("words"))
        .filter(pl.col("words") > 0)
    )
    short = words.filter(pl.col("words") < 3).select("row", pl.col("word").list.join(" ").hash().alias("shingle"))
    exploded = words.filter(pl.col("words") >= 3).select("row", "word").explode("word")
    trigram = pl.concat_str("word", pl.col("word").shift(-1), pl.col("word").shift(-2), separator=" ")
    whole = pl.col("row") == pl.col("row").shift(-2)
    long = exploded.select("row", trigram.hash().alias("shingle"), whole.alias("whole")).filter("whole").drop("whole")
    return pl.concat([short, long]).unique(maintain_order=True)


def near_pairs(sets: pl.DataFrame, threshold: float) -> pl.DataFrame:
    """Pairs of texts whose trigrams have a Jaccard similarity of at least `threshold`.

    Two such sets share one of their rarest elements (prefix filtering: Bayardo et al., "Scaling up all pairs similarity
    search", 2007), so that only texts that do are compared, and these exactly. Where more than 200 texts share one, as
    a boilerplate does, each is compared with the next of them alone: enough to hold the family together.

    Args:
        sets: row, shingle, each once.
        threshold: From 0 to 1.

    Returns:
        NEAR: a < b, sorted.
    """
    sizes = sets.group_by("row").agg(pl.len().alias("size"))
    # Inner, and none is lost: every shingle has a frequency and every row a size.
    ranked = (
        sets.join(sets.group_by("shingle").agg(pl.len().alias("frequency")), on="shingle", how="inner")
        .filter(pl.col("frequency") > 1)
        .join(sizes, on="row", how="inner")
    )
    alone = sizes.join(ranked.group_by("row").agg(pl.len().alias("shared")), on="row", how="inner")
    # The prefix counts from the rarest element on; those that no other text has are its first, and match nothing.
    rank = pl.struct("frequency", "shingle").rank("ordinal").over("row")
    prefix = (
        ranked.with_columns(rank.alias("rank"))
        .join(alone.select("row", (pl.col("size") - pl.col("shared")).alias("own")), on="row", how="inner")
        .filter(pl.col("rank") + pl.col("own") <= pl.col("size") - (pl.col("size") * threshold).ceil() + 1)
    )
    return _compared(sets, sizes, _candidates(prefix, threshold), threshold)


def _candidates(prefix: pl.DataFrame, threshold: float) -> pl.DataFrame:
    sides = prefix.select("shingle", "row", "size", "frequency").sort("shingle", "row")
    few = sides.filter(pl.col("frequency") <= _CROWD)
    # Inner with itself: all pairs of texts that share a rare element, each once.
    both = few.join(few, on="shingle", how="inner", suffix="_b").filter(pl.col("row") < pl.col("row_b"))
    crowd = sides.filter(pl.col("frequency") > _CROWD)
    following = crowd.with_columns(
        pl.col("row").shift(-1).over("shingle").alias("row_b"), pl.col("size").shift(-1).over("shingle").alias("size_b")
    ).filter(pl.col("row_b").is_not_null())
    narrow = ["row", "row_b", "size", "size_b"]
    found = pl.concat([both.select(narrow), following.select(narrow)]).unique()
    smaller, larger = pl.min_horizontal("size", "size_b"), pl.max_horizontal("size", "size_b")
    return found.filter(smaller >= larger * threshold).sort("row", "row_b")


def _compared(sets: pl.DataFrame, sizes: pl.DataFrame, candidates: pl.DataFrame, threshold: float) -> pl.DataFrame:
    parts = [pl.DataFrame(schema=NEAR)]
    for block in candidates.iter_slices(_BLOCK):
        # Inner twice: of the elements of one side those that the other has too, which is what is counted.
        common = (
            block.join(sets, on="row", how="inner")
            .join(sets, left_on=["row_b", "shingle"], right_on=["row", "shingle"], how="inner")
            .group_by("row", "row_b", "size", "size_b")
            .agg(pl.len().alias("common"))
        )
        union = pl.col("size") + pl.col("size_b") - pl.col("common")
        found = common.select(
            pl.col("row").alias("a"), pl.col("row_b").alias("b"), (pl.col("common") / union).alias("similarity")
        )
        parts.append(found.filter(pl.col("similarity") >= threshold).cast(dict(NEAR)))  # type: ignore[arg-type]
    return pl.concat(parts).sort("a", "b")
