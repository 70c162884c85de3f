"""The training loop of a cross-encoder: the trainer of sentence-transformers, resumed to the bit; imported late."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from sentence_transformers import CrossEncoder
from sentence_transformers.base.sampler import DefaultBatchSampler
from sentence_transformers.cross_encoder import CrossEncoderTrainer, CrossEncoderTrainingArguments
from sentence_transformers.cross_encoder.losses import BinaryCrossEntropyLoss
from torch import nn
from transformers.trainer_callback import PrinterCallback

from models.training.loop import LOGGED, history_of, newest, processes
from models.training.network import load_state, save_state
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
    watch = Watch(lap)
    trainer = _Loop(lap, model=network, args=_arguments(lap), train_dataset=rows, loss=loss, callbacks=[watch])
    trainer.pop_callback(PrinterCallback)  # it prints to standard output
    trainer.train(resume_from_checkpoint=newest(lap.folder))
    return history_of(trainer, watch)


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


class _Loop(CrossEncoderTrainer):
    """The library's trainer, with checkpoints of weights alone and without what it writes for its hub."""

    def __init__(self, lap: Lap, **settings: Any) -> None:
        self._lap = lap
        super().__init__(**settings)

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """Write no card: it asks the hub, and knows nothing of releases."""

    def get_batch_sampler(self, dataset: Dataset, batch_size: int, *_: Any, **__: Any) -> DefaultBatchSampler:
        """Give all batches of the training as one pass."""
        return _Batches(dataset, batch_size, self._lap.steps * int(self.args.world_size), self._lap.recipe.seed)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """Save the weights alone: what else the library writes is in the folder that training starts from."""
        save_state(self.model, Path(output_dir or self._lap.folder) / "model.safetensors")

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        load_state(self.model, Path(resume_from_checkpoint) / "model.safetensors")


def _arguments(lap: Lap) -> CrossEncoderTrainingArguments:
    """Say all that matters, whatever the library's defaults become."""
    recipe = lap.recipe
    return CrossEncoderTrainingArguments(
        output_dir=str(lap.folder),
        max_steps=lap.steps,
        per_device_train_batch_size=max(1, lap.batch // processes(lap.device)),
        learning_rate=recipe.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=math.ceil(recipe.warmup * lap.steps),
        weight_decay=0.0,
        max_grad_norm=1.0,
        optim="adamw_torch",
        use_cpu=lap.device == "cpu",
        seed=recipe.seed,
        data_seed=recipe.seed,
        logging_steps=math.ceil(lap.steps / LOGGED),
        logging_nan_inf_filter=False,
        save_strategy="no",  # the watch says when
        eval_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=lap.device == "cuda",
        remove_unused_columns=False,
    )
