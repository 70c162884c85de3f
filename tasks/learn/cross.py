"""Train a cross-encoder from the pairs that an encoder learns from, with wrong passages out of the release's index."""

from __future__ import annotations

import logging
from pathlib import Path

import polars as pl

from models.encoder import EncoderFolder
from models.errors import ModelError
from models.rerank.train_cross import CrossRecipe, Example, train_cross
from storage.reader import Reader
from storage.tables.pairs import PairTable
from storage.tables.releases import Release
from tasks.context import Context
from tasks.learn.mine import mine
from tasks.stage import stage

__all__ = ["CROSS", "train_on_pairs"]

logger = logging.getLogger(__name__)

CROSS = "cross-encoder trained here"
PAIRS = 2_000  # as many as the steps see, and some
WRONG = 3  # passages a question
COLUMNS = ["question", "key", "passage"]


@stage
def train_on_pairs(
    context: Context, base: Release, encoder: EncoderFolder, version: int, recipe: CrossRecipe, pairs: int = PAIRS
) -> dict[str, Path]:
    """Train one, started from the network of the release's encoder.

    Args:
        context: The run.
        base: The release whose index gives the wrong passages.
        encoder: Its encoder, as files.
        version: Data version of the pairs.
        recipe: How.
        pairs: Pairs at most, the first ones.

    Returns:
        CROSS to its folder; nothing where there is nothing to learn from, or no network to start from.
    """
    rows = _pairs(context, version, pairs)
    questions = rows["question"].unique(maintain_order=True)
    # Inner: every pair's question has its number.
    numbered = rows.join(questions.to_frame().with_row_index("query"), on="question", how="inner")
    positives = numbered.select("query", "key").unique(maintain_order=True)
    vectors = encoder.open().encode_queries(questions.to_list())
    wrong: dict[int, list[str]] = {}
    for part in mine(vectors, positives, Reader(context.store, base).pinned.chunks, n=WRONG):
        for query, passage in part.select("query", "passage").iter_rows():
            wrong.setdefault(query, []).append(passage)
    examples = [
        Example(question, passage, tuple(wrong.get(query, ())))
        for query, question, passage in numbered.select("query", "question", "passage").iter_rows()
    ]

    def progress(done: int, steps: int) -> None:
        context.progress.advance(done, steps, "steps of a cross-encoder")

    place = context.workspace.folder / "cross-trained"
    files = encoder.folder or context.workspace.folder / "encoder"
    try:
        train_cross(files, examples, recipe, place, encoder.config.device, progress)
    except ModelError as error:  # an encoder may still be better: that one is not to be lost for it
        logger.warning("no cross-encoder was trained: %s", error)
        return {}
    return {CROSS: place}


def _pairs(context: Context, version: int, most: int) -> pl.DataFrame:
    """The first training pairs of a data version."""
    parts, held = list[pl.DataFrame](), 0
    for part in PairTable(context.store).slices(split="train", version=version, columns=COLUMNS):
        parts.append(part)
        held += part.height
        if held >= most:
            break
    schema = dict.fromkeys(COLUMNS, pl.String)
    return pl.concat(parts).head(most) if parts else pl.DataFrame(schema=schema)
