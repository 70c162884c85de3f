"""The training loop of a cross-encoder: the trainer of sentence-transformers, resumed to the bit; imported late."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from datasets import Dataset
from sentence_transformers import CrossEncoder
from sentence_transformers.base.sampler import DefaultBatchSampler
from sentence_transformers.cross_encoder import CrossEncoderTrainer, CrossEncoderTrainingArguments
from sentence_transformers.cross_encoder.losses import BinaryCrossEntropyLoss

from models.training.loop import Resumable, completed, usual
from models.training.plan import History
from models.training.watch import Lap, Watch

__all__ = ["run_cross"]


def run_cross(network: CrossEncoder, rows: Dataset, lap: Lap) -> History:
    """Train, from the newest checkpoint where there is one, and leave the last weights in `lap.best`.

    Args:
        network: The network, built anew: its weights are the last ones afterwards.
        rows: Columns question, passage and label, 1 or 0, some of each.
        lap: What to do.

    Raises:
        ModelError: the loss is not finite.
    """
    wrong, right = rows["label"].count(0.0), rows["label"].count(1.0)
    # Each kind counts half: with eight wrong passages a right one, "no" to all would be a fair answer otherwise.
    loss = BinaryCrossEntropyLoss(network, pos_weight=torch.tensor(wrong / right))
    arguments, watch = CrossEncoderTrainingArguments(**usual(lap, least=1)), Watch(lap)
    trainer = _Loop(lap, model=network, args=arguments, train_dataset=rows, loss=loss, callbacks=[watch])
    return completed(trainer, lap, watch)


class _Batches(DefaultBatchSampler):
    """Exactly so many batches, pass after pass over the rows, each in an order of its own.

    A single epoch, whatever the number of passes: a training that is resumed skips batches of one sampler alone.
    """

    def __init__(self, rows: Dataset, batch: int, count: int, seed: int) -> None:
        super().__init__(rows, batch_size=batch, drop_last=True)
        self._rows, self._count, self._seed = len(rows), count, seed

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[list[int]]:
        order, passes = list[int](), 0
        for _ in range(self._count):
            while len(order) < self.batch_size:
                generator = torch.Generator().manual_seed(self._seed + passes)
                order += torch.randperm(self._rows, generator=generator).tolist()
                passes += 1
            yield order[: self.batch_size]
            del order[: self.batch_size]


class _Loop(Resumable, CrossEncoderTrainer):
    """The trainer of a cross-encoder."""

    def get_batch_sampler(self, dataset: Dataset, batch_size: int, *_: Any, **__: Any) -> DefaultBatchSampler:
        """Give all batches of the training as one pass."""
        return _Batches(dataset, batch_size, self.batches, self.lap.recipe.seed)
