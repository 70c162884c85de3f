"""Questions that somebody asked of a known document: judged sets and generated questions, in one shape."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from storage.hashing import document_key
from tasks.learn.questions import QuestionSet

__all__ = ["ASKED", "from_generated", "from_judged"]

# `grade` 0 says that the document was shown and not wanted; `fixed` is the part that a judged set gives.
ASKED = pl.Schema(
    {
        "question": pl.String,
        "key": pl.String,
        "kind": pl.String,
        "grade": pl.Int32,
        "weight": pl.Float32,
        "fixed": pl.String,
    }
)


def from_judged(sets: Sequence[QuestionSet]) -> pl.DataFrame:
    """The questions of judged sets with each document that answers them, in ASKED; what does not answer is left out."""
    parts = [pl.DataFrame(schema=ASKED)]
    for judged in sets:
        # Inner: judgements of questions that the set has.
        both = judged.relevant.join(judged.questions, on="question", how="inner", maintain_order="left")
        keys = [document_key(source, name) for source, name in both.select("source", "document").iter_rows()]
        # A set that only bounds forgetting is never trained on, whatever its files are called.
        split = "test" if judged.role == "general" and judged.split == "train" else judged.split
        parts.append(
            both.select(
                pl.col("text").alias("question"),
                pl.Series("key", keys, dtype=pl.String),
                pl.lit("judged").alias("kind"),
                pl.col("grade").cast(pl.Int32),
                pl.lit(1.0, pl.Float32).alias("weight"),
                pl.lit(split).alias("fixed"),
            )
        )
    # A document that two sets hold the same question for belongs to the part that judges.
    order = pl.col("fixed").replace_strict({"test": 0, "dev": 1, "train": 2}, return_dtype=pl.Int8)
    whole = pl.concat(parts).sort("question", "key", order)
    return whole.unique(["question", "key"], keep="first", maintain_order=True)


def from_generated(generated: pl.DataFrame, ledger: pl.DataFrame) -> pl.DataFrame:
    """Generated questions for the documents that still have the content they were written for, in ASKED.

    Args:
        generated: content_hash, question.
        ledger: key, content_hash of the documents that are indexed.
    """
    # Inner: a question for content that is gone is kept in its table, and asks nothing here.
    both = generated.filter(pl.col("question") != "").join(
        ledger.select("key", "content_hash"), on="content_hash", how="inner", maintain_order="left", suffix="_now"
    )
    return both.select(
        "question",
        pl.col("key_now" if "key_now" in both.columns else "key").alias("key"),
        pl.lit("synthetic").alias("kind"),
        pl.lit(1, pl.Int32).alias("grade"),
        pl.lit(1.0, pl.Float32).alias("weight"),
        pl.lit(None, pl.String).alias("fixed"),
    )
