"""Check that nothing that is trained on is judged by: from the texts as they are, whatever split them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from storage.counts import plural
from storage.hashing import digest
from tasks.learn.near import near_pairs, shingles
from tasks.learn.wording import plain
from tasks.verdict import Refused

__all__ = ["ALIKE", "Leakage", "find_leaks"]

ALIKE = 0.8  # Jaccard similarity of word trigrams from which two passages are one
_SHOWN = 3  # examples a kind
_EXCERPT = 80  # characters
_KINDS = {
    "question": ("question", "asked in training and in judging too"),
    "content": ("document", "trained on and judged by too"),
    "passage": ("passage", "trained on and judged by too, or nearly"),
}


@dataclass(frozen=True)
class Leakage:
    """What is both trained on and judged by.

    Attributes:
        pairs: Pairs that were looked at.
        leaks: kind (question, content or passage), id of a pair that is trained on, other (id of one that is not), and
            what they look like.
    """

    pairs: int
    leaks: pl.DataFrame

    @property
    def counts(self) -> dict[str, int]:
        """Pairs looked at, and leaks a kind."""
        return {"pairs": self.pairs} | dict(self.leaks.group_by("kind").len().sort("kind").iter_rows())

    @property
    def reasons(self) -> tuple[str, ...]:
        """What leaks, one line a kind with its figures and examples; empty where nothing does."""
        lines = []
        for kind, (name, words) in _KINDS.items():
            found = self.leaks.filter(pl.col("kind") == kind)
            if found.height:
                shown = "; ".join(
                    f"{text!r} (pairs {one[:8]} and {other[:8]})"
                    for one, other, text in found.head(_SHOWN).select("id", "other", "excerpt").iter_rows()
                )
                is_ = "is" if found.height == 1 else "are"
                lines.append(f"{plural(found.height, name)} {is_} {words}, for example {shown}")
        return tuple(lines)

    def enforce(self) -> None:
        """Let nothing be trained on that is judged by.

        Raises:
            Refused: Something leaks.
        """
        if self.reasons:
            raise Refused("leakage between training and judging: " + "; ".join(self.reasons))


def find_leaks(slices: Iterable[pl.DataFrame]) -> Leakage:
    """Compare the pairs that are trained on with those that choose or judge.

    A question leaks by its words alone, a document by its content hash, a passage by its trigrams. It holds hashes,
    and of each pair an excerpt.

    Args:
        slices: id, question, content_hash, passage, split.
    """
    parts, sets, first = [], [], 0
    for part in slices:
        numbered = part.with_columns(pl.int_range(first, first + pl.len(), dtype=pl.UInt32).alias("row"))
        first += part.height
        asked = pl.Series("asked", [digest(plain(text)) for text in part["question"]], dtype=pl.String)
        parts.append(
            numbered.select(
                "row",
                "id",
                asked,
                "content_hash",
                (pl.col("split") == "train").alias("trained"),
                pl.col("question").str.slice(0, _EXCERPT).alias("question"),
                pl.col("passage").str.slice(0, _EXCERPT).alias("passage"),
            )
        )
        sets.append(shingles(numbered.select("row", pl.col("passage").alias("text"))))
    if not parts:
        return Leakage(0, _leaks(pl.DataFrame(schema=_SIDES), "question"))
    pairs = pl.concat(parts)
    found = [
        _leaks(_meeting(pairs, "asked"), "question"),
        _leaks(_meeting(pairs, "content_hash"), "content"),
        _leaks(_near(pairs, pl.concat(sets)), "passage"),
    ]
    return Leakage(pairs.height, pl.concat(found))


_SIDES = dict.fromkeys(["id", "other", "question", "passage"], pl.String)


def _meeting(pairs: pl.DataFrame, by: str) -> pl.DataFrame:
    trained, held = pairs.filter("trained"), pairs.filter(~pl.col("trained"))
    others = held.select(by, pl.col("id").alias("other")).unique(by, keep="first", maintain_order=True)
    # Inner: of what is trained on that which is judged by too, each with one example of that.
    return trained.join(others, on=by, how="inner", maintain_order="left").select(list(_SIDES))


def _near(pairs: pl.DataFrame, sets: pl.DataFrame) -> pl.DataFrame:
    sides = pairs.select("row", "id", "trained", "question", "passage")
    # Inner, twice: both ends of a near pair are pairs; only those on two sides of the split are leaks.
    both = (
        near_pairs(sets, ALIKE)
        .join(sides, left_on="a", right_on="row", how="inner", maintain_order="left")
        .join(sides, left_on="b", right_on="row", how="inner", suffix="_b", maintain_order="left")
        .filter(pl.col("trained") != pl.col("trained_b"))
    )
    trained = pl.col("trained")
    return both.select(
        pl.when(trained).then("id").otherwise("id_b").alias("id"),
        pl.when(trained).then("id_b").otherwise("id").alias("other"),
        pl.when(trained).then("question").otherwise("question_b").alias("question"),
        pl.when(trained).then("passage").otherwise("passage_b").alias("passage"),
    ).unique("id", keep="first", maintain_order=True)


def _leaks(found: pl.DataFrame, kind: str) -> pl.DataFrame:
    excerpt = pl.col("question" if kind == "question" else "passage").alias("excerpt")
    return found.select(pl.lit(kind).alias("kind"), "id", "other", excerpt)
