"""Lay out what is learned from: examples for training, and the pool that looks and choices are made with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from models.training.examples import ASKED
from storage.reader import Reader
from storage.tables.pairs import PairTable
from storage.tables.releases import Release
from tasks.context import Context
from tasks.learn.pool import Pool
from tasks.learn.questions import QuestionSet
from tasks.learn.subject import Subject
from tasks.learn.train import write_examples
from tasks.stage import stage
from tasks.verdict import Refused

__all__ = ["Lesson", "enough", "held_back_pairs", "lay_out", "to_learn"]

CHOSEN_BY, CHOSEN_OVER = 300, 800  # dev questions, and passages of their pool
FEWEST = 2  # pairs: the others of a batch are its wrong answers
BY_PEOPLE = ("judged", "feedback", "queries")  # kinds of pairs whose question somebody asked
JUDGED = ["question", "source", "content_hash", "passage"]


@dataclass(frozen=True)
class Lesson:
    """What is learned from.

    Attributes:
        examples: Parquet file of the training examples.
        identity: Digest of them, in their order.
        rows: How many.
        pool: Dev questions and passages.
        negatives: Hard negatives of all examples together.
    """

    examples: Path
    identity: str
    rows: int
    pool: Pool
    negatives: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """Examples, their negatives, and dev questions."""
        return {"examples": self.rows, "negatives": self.negatives, "dev questions": len(self.pool.questions)}


@stage
def lay_out(context: Context, base: Release, version: int, dev: Sequence[QuestionSet]) -> Lesson:
    """Write the examples, and draw the pool of the dev questions.

    Args:
        context: The run.
        base: The release that the pairs are of.
        version: Data version of the pairs.
        dev: Judged dev questions of target sets; without, dev pairs choose.
    """
    table = PairTable(context.store)
    file = context.workspace.folder / "examples.parquet"
    identity = write_examples(to_learn(table, version), file)
    if dev:
        subject = Subject.of(Reader(context.store, base))
        pool = Pool.of(subject, dev, questions=CHOSEN_BY, passages=CHOSEN_OVER)
    else:
        chosen = held_back_pairs(context, version, "dev").sort("question").head(CHOSEN_BY)
        pool = Pool.of_pairs(chosen, held_back_pairs(context, version, "train", most=CHOSEN_OVER), CHOSEN_OVER)
    return Lesson(file, identity, pl.scan_parquet(file).select(pl.len()).collect().item(), pool)


def to_learn(table: PairTable, version: int, rows: int = 1_024) -> Iterator[pl.DataFrame]:
    """The pairs to learn from, slice by slice: question, passage and ASKED, those whose question somebody asked first.

    Args:
        table: The pairs.
        version: Their data version.
        rows: Pairs a slice, at most.
    """
    for asked in (True, False):
        for part in table.slices(split="train", version=version, columns=["question", "passage", "kind"], rows=rows):
            kept = part.filter(pl.col("kind").is_in(BY_PEOPLE).fill_null(value=False) == asked)
            if kept.height:
                yield kept.select("question", "passage", pl.lit(asked).alias(ASKED))


def enough(lesson: Lesson, held: pl.DataFrame, test: Sequence[QuestionSet]) -> None:
    """Make sure, before anything is trained, that there is something to learn from and to judge by.

    Args:
        lesson: What is learned from.
        held: Pairs that are kept from training.
        test: Judged test questions.

    Raises:
        Refused: There is not.
    """
    lacking = []
    if lesson.rows < FEWEST:
        lacking.append(f"{lesson.rows} pairs of a question and its passage to learn from, where {FEWEST} are needed")
    if held.is_empty() and not any(each.role == "target" for each in test):
        lacking.append("no test question, so nothing could prove a gain")
    if lacking:
        raise Refused(
            f"there are {' and '.join(lacking)}: name judged questions under [[evaluation]], with train.tsv and "
            "test.tsv, a column of a source as queries, or logs under learning.pairs.feedback"
        )


def held_back_pairs(context: Context, version: int, split: str, most: int | None = None) -> pl.DataFrame:
    """Pairs of a split: question, source, content_hash and passage.

    Args:
        context: The run.
        version: Data version of the pairs.
        split: Which part.
        most: Pairs at most, the first ones; all if None.
    """
    parts, rows = list[pl.DataFrame](), 0
    for part in PairTable(context.store).slices(split=split, version=version, columns=JUDGED):  # type: ignore[arg-type]
        parts.append(part)
        rows += part.height
        if most is not None and rows >= most:
            break
    return pl.concat(parts).head(most or rows) if parts else pl.DataFrame(schema=dict.fromkeys(JUDGED, pl.String))
