"""Train a cross-encoder from the pairs that an encoder learns from, with wrong passages out of the release's index."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from models.encoder import Encoder, EncoderFolder
from models.errors import ModelError
from models.rerank.train_cross import CrossTrained, Example, identity, train_cross, untrained
from models.training.plan import TrainingProgress
from models.training.recipe import Recipe
from storage.reader import Reader
from storage.tables.pairs import PairTable
from storage.tables.releases import Release
from tasks.context import Context
from tasks.learn.config import QualityConfig
from tasks.learn.firststage import first_stage
from tasks.learn.harden import Answers, hardened
from tasks.learn.questions import QuestionSet
from tasks.learn.rerankers import Tried, too_slow
from tasks.learn.train import clear_trainings, cross_folder, cross_folders
from tasks.stage import stage

__all__ = ["CROSS", "Crossed", "train_on_pairs"]

logger = logging.getLogger(__name__)

CROSS = "cross-encoder trained here"
PAIRS = 2_000  # as many as the steps see, and some
WRONG = 3  # passages a question
COLUMNS = ["question", "key", "passage"]
ASKED = 4  # dev questions that the network is timed on before it is trained


@dataclass(frozen=True)
class Crossed:
    """What became of the wish for a cross-encoder.

    Attributes:
        trained: What training came to; None where it was not trained.
        refused: Why it was not, as a row of the report; None where it was.
    """

    trained: CrossTrained | None = None
    refused: Tried | None = None

    @property
    def folders(self) -> dict[str, Path]:
        """CROSS to its folder, where it was trained."""
        return {} if self.trained is None else {CROSS: self.trained.folder}

    @property
    def counts(self) -> dict[str, int]:
        """Rows that it learned from, and steps."""
        return {} if self.trained is None else {"rows": self.trained.rows, "steps": self.trained.steps}

    def to_dict(self) -> dict[str, Any]:
        """The course of training as JSON-able values; empty where there was none."""
        return {} if self.trained is None else self.trained.to_json()


@stage
def train_on_pairs(
    context: Context,
    base: Release,
    champion: EncoderFolder,
    version: int,
    recipe: Recipe,
    quality: QualityConfig,
    dev: Sequence[QuestionSet] = (),
    pairs: int = PAIRS,
) -> Crossed:
    """Train one, started from the network of the release's encoder, unless that network is too slow for any query.

    A killed training that is called again goes on where it was.

    Args:
        context: The run.
        base: The release whose index gives the wrong passages.
        champion: Its encoder, as files.
        version: Data version of the pairs.
        recipe: How, as `cross_recipe` gives it.
        quality: The bars.
        dev: Dev questions; the network is timed on some of them before it is trained.
        pairs: Pairs at most, the first ones.

    Returns:
        A refusal also where there is nothing to learn from, or no network to start from: an encoder may still be
        better, and is not to be lost for it.
    """
    encoder = champion.open()
    try:
        took = _quickest(Reader(context.store, base), encoder, champion, recipe, dev)
        if took > quality.max_rerank_ms:
            return Crossed(refused=too_slow(CROSS, took, quality))
        examples = _examples(context, base, encoder, version, pairs)
        return Crossed(_trained(context, champion, examples, recipe))
    except ModelError as error:
        logger.warning("no cross-encoder was trained: %s", error)
        return Crossed(refused=Tried(CROSS, reason=f"it was not trained: {error}"))


def _quickest(
    reader: Reader, encoder: Encoder, champion: EncoderFolder, recipe: Recipe, dev: Sequence[QuestionSet]
) -> float:
    """Milliseconds of the quickest query by the network as it is before training: none will be quicker after it.

    The quickest and not the median, which judges in the end: what is refused here would surely be refused there.
    """
    found = first_stage(reader, encoder, dev, most=ASKED)
    if len(found.questions) < 2:  # the first one warms up, and says nothing
        return 0.0
    return min(found.times(untrained(champion, recipe)))


def _examples(context: Context, base: Release, encoder: Encoder, version: int, most: int) -> list[Example]:
    """The first training pairs of a data version, each with passages that the index takes for answers."""
    table, seen = PairTable(context.store), Reader(context.store, base).pinned
    answers = Answers.of(table, version, seen.documents)
    rows = _pairs(table, version, most)
    found = list[Example]()
    for part in hardened(rows.iter_slices(PAIRS), answers, seen.chunks, encoder, WRONG):
        for question, passage, wrong in part.select("question", "passage", "negatives").iter_rows():
            found.append(Example(question, passage, tuple(wrong)))
        context.progress.advance(len(found), rows.height, "pairs with wrong passages")
        context.workspace.touch()
    return found


def _pairs(table: PairTable, version: int, most: int) -> pl.DataFrame:
    parts, held = list[pl.DataFrame](), 0
    for part in table.slices(split="train", version=version, columns=COLUMNS):
        parts.append(part)
        held += part.height
        if held >= most:
            break
    schema = dict.fromkeys(COLUMNS, pl.String)
    return pl.concat(parts).head(most) if parts else pl.DataFrame(schema=schema)


def _trained(context: Context, champion: EncoderFolder, examples: Sequence[Example], recipe: Recipe) -> CrossTrained:
    """Train in a folder that outlives the run, and remove those of other trainings."""
    device, threads = champion.config.device, champion.config.threads
    work = cross_folder(context.store, identity(champion, examples, recipe, device, threads))
    clear_trainings(context.store, [work], cross_folders(context.store))

    def report(now: TrainingProgress) -> None:
        context.workspace.touch()
        steps = "steps of a cross-encoder" if now.stage != "timing" else "timed steps of a cross-encoder"
        context.progress.advance(now.step, now.steps, f"{steps}, loss {now.loss:.3f}")

    return train_cross(champion, examples, recipe, work, device=device, threads=threads, progress=report)
