"""Give the pairs that are trained with hard negatives: what the champion itself takes for an answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import polars as pl

from models.encoder import Encoder, EncoderFolder
from storage.reader import Reader
from storage.tables.chunks import ChunkTable
from storage.tables.documents import DocumentTable
from storage.tables.pairs import PairTable
from storage.tables.releases import Release
from tasks.context import Context
from tasks.learn.lesson import Lesson, to_learn
from tasks.learn.mine import SLICE, mine
from tasks.learn.train import write_examples
from tasks.learn.wording import tidy
from tasks.stage import stage

__all__ = ["Answers", "harden", "hardened"]

_NONE = pl.DataFrame(schema=dict.fromkeys(("question", "key", "cluster", "split"), pl.String))


@dataclass(frozen=True)
class Answers:
    """What is known of right and wrong before anything is mined.

    Attributes:
        right: question and key of each document that answers it, of every pair that is trained with.
        families: key and family: documents of one content or of one cluster of near duplicates.
        pool: Keys of the documents that may be negatives: of those that judge later none is trained with.
    """

    right: pl.DataFrame
    families: pl.DataFrame
    pool: pl.Series

    @classmethod
    def of(cls, pairs: PairTable, version: int, documents: DocumentTable) -> Answers:
        """Read them from the pairs of a data version and its documents.

        Args:
            pairs: The table of pairs.
            version: Data version of the pairs.
            documents: The documents that they are of.
        """
        columns = ["question", "key", "cluster", "split"]
        held = pl.concat([_NONE, *pairs.slices(version=version, columns=columns, rows=65_536)])
        ledger = documents.ledger(["key", "content_hash", "duplicate_of"])
        indexed = ledger.filter(pl.col("duplicate_of").is_null())
        same = indexed.filter(pl.len().over("content_hash") > 1).select("key", family="content_hash")
        clusters = held.filter(pl.col("cluster").is_not_null()).select("key", family="cluster").unique()
        later = held.filter(pl.col("split") != "train")["key"].unique()
        return cls(
            held.filter(pl.col("split") == "train").select("question", "key").unique(maintain_order=True),
            pl.concat([same, clusters]),
            indexed.filter(~pl.col("key").is_in(later.implode()))["key"],
        )


@stage
def harden(context: Context, base: Release, champion: EncoderFolder, lesson: Lesson, version: int, n: int) -> Lesson:
    """Mine negatives for every example against the champion's own chunks, each compared with every question.

    It holds some pairs at a time, and names of all. The same release, pairs and champion give the same examples.

    Args:
        context: The run.
        base: The release that the pairs are of.
        champion: Its encoder.
        lesson: What is learned from, as it was laid out.
        version: Data version of the pairs.
        n: Negatives a pair, at most.
    """
    table, seen = PairTable(context.store), Reader(context.store, base).pinned
    answers = Answers.of(table, version, seen.documents)
    slices = to_learn(table, version, rows=SLICE)
    found = done = 0

    def counted() -> Iterator[pl.DataFrame]:
        nonlocal found, done
        for part in hardened(slices, answers, seen.chunks, champion.open(), n):
            found, done = found + int(part["negatives"].list.len().sum()), done + part.height
            context.progress.advance(done, lesson.rows, "pairs")
            yield part

    file = context.workspace.folder / "hardened.parquet"
    identity = write_examples(counted(), file)
    return replace(lesson, examples=file, identity=identity, negatives=found)


def hardened(
    pairs: Iterable[pl.DataFrame], answers: Answers, chunks: ChunkTable, encoder: Encoder, n: int
) -> Iterator[pl.DataFrame]:
    """Yield each slice of pairs with its negatives, best first; fewer than n, or none, where few are clearly wrong.

    Args:
        pairs: question, passage and ASKED, slice by slice.
        answers: What is right, and what may be wrong.
        chunks: The champion's chunks.
        encoder: The champion.
        n: Negatives a pair, at most.
    """
    for part in pairs:
        asked = part.select("question").unique(maintain_order=True).with_row_index("query")
        # Inner: of all answers those of the questions here, also where another slice holds the pair.
        right = asked.join(answers.right, on="question", how="inner", maintain_order="left").select("query", "key")
        vectors = encoder.encode_queries(asked["question"].to_list())
        mined = pl.concat(mine(vectors, right, chunks, n=n, families=answers.families, keys=answers.pool))
        # As passages of pairs are written, so that nothing but the meaning tells right from wrong.
        texts = [tidy(text) for text in mined["passage"]]
        negatives = (
            mined.select("query", pl.Series("negative", texts, dtype=pl.String))
            .filter(pl.col("negative") != "")
            .group_by("query", maintain_order=True)
            .agg(pl.col("negative").alias("negatives"))
        )
        # Left, twice: a pair whose question has no negatives keeps its place, with an empty list.
        named = asked.join(negatives, on="query", how="left", maintain_order="left")
        whole = part.join(named.select("question", "negatives"), on="question", how="left", maintain_order="left")
        yield whole.with_columns(pl.col("negatives").fill_null(pl.lit([], pl.List(pl.String))))
