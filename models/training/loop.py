"""The training loop: the trainer of sentence-transformers, resumed to the bit; heavy, so it is imported late."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from datasets import Dataset
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.base.sampler import DefaultBatchSampler, NoDuplicatesBatchSampler
from torch import nn
from transformers import Trainer
from transformers.trainer_callback import PrinterCallback

from models.errors import ModelError
from models.training.network import load_state, save_state
from models.training.plan import History
from models.training.watch import COMPLETE, Lap, Watch, curve_of

__all__ = ["Resumable", "completed", "processes", "run_lap", "usual"]

LOGGED = 500  # losses that are kept of a training


def processes(device: str) -> int:
    """Count the devices that a batch is spread over: those of `accelerate launch`, or the GPUs of this process."""
    launched = int(PartialState().num_processes)
    return torch.cuda.device_count() if launched == 1 and device == "cuda" else launched


def run_lap(model: SentenceTransformer, loss: nn.Module, examples: Dataset, lap: Lap) -> History:
    """Train, from the newest checkpoint where there is one, and leave the best weights in `lap.best`.

    Args:
        model: The network, built anew: its weights are those of a checkpoint afterwards, or the last.
        loss: The loss over it.
        examples: Columns question, passage and negatives.
        lap: What to do.

    Raises:
        ModelError: the loss is not finite, or the examples are too few.
    """
    watch = Watch(lap)
    trainer = _Loop(lap, model=model, args=_arguments(lap), train_dataset=examples, loss=loss, callbacks=[watch])
    return completed(trainer, lap, watch)


def completed(trainer: Trainer, lap: Lap, watch: Watch) -> History:
    """Train from the newest checkpoint where there is one, and sum up what was logged and timed."""
    trainer.pop_callback(PrinterCallback)  # it prints to standard output
    trainer.train(resume_from_checkpoint=_newest(lap.folder))
    entries = trainer.state.log_history
    return History(
        trainer.state.global_step,
        tuple((int(entry["step"]), entry["loss"]) for entry in entries if "loss" in entry),
        curve_of(entries),
        float(torch.tensor(watch.durations).median()) if watch.durations else None,
    )


class _Batches(DefaultBatchSampler):
    """Exactly so many batches, pass after pass over the examples, no text twice in one.

    A single epoch: the library counts epochs by the batches that a sampler promises and a pass may fall short of,
    after which it would resume at another batch.
    """

    def __init__(self, examples: Dataset, batch: int, count: int, seed: int) -> None:
        super().__init__(examples, batch_size=batch, drop_last=True)
        generator = torch.Generator()
        self._count = count
        self._passes = NoDuplicatesBatchSampler(
            examples, batch_size=batch, drop_last=True, valid_label_columns=[], generator=generator, seed=seed
        )

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[list[int]]:
        given = before = 0
        for number in range(self._count):
            self._passes.set_epoch(number)
            for rows in self._passes:
                if given == self._count:
                    return
                yield rows
                given += 1
            if given == before:
                raise ModelError(f"training examples: not {self.batch_size} without a text in common; lower the batch")
            before = given


class Resumable:
    """What makes a trainer of the library one with checkpoints of weights alone; it stands before it."""

    model: Any
    args: Any

    def __init__(self, lap: Lap, **settings: Any) -> None:
        self.lap = lap
        super().__init__(**settings)

    @property
    def batches(self) -> int:
        """Batches of the whole training, over all devices: a training is one pass."""
        return self.lap.steps * int(self.args.world_size)

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """Write no card: it asks the hub, and knows nothing of releases."""

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """Save trained weights alone: adapters cannot be loaded otherwise, nor a student without its shape."""
        save_state(self.model, Path(output_dir or self.lap.folder) / "model.safetensors")

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        load_state(self.model, Path(resume_from_checkpoint) / "model.safetensors")


class _Loop(Resumable, SentenceTransformerTrainer):
    """The trainer of an encoder."""

    def __init__(self, lap: Lap, **settings: Any) -> None:
        super().__init__(lap, **settings)
        # Not by the model's own limit: setting that writes into the tokenizer that is saved.
        self.data_collator.max_length = lap.limit

    def get_batch_sampler(self, dataset: Dataset, batch_size: int, *_: Any, **__: Any) -> DefaultBatchSampler:
        """Give all batches of the training as one pass."""
        return _Batches(dataset, batch_size, self.batches, self.lap.recipe.seed)


def _arguments(lap: Lap) -> SentenceTransformerTrainingArguments:
    recipe, space = lap.recipe, lap.space
    prompts = {"question": space.query_prompt, "passage": space.document_prompt}
    prompts |= {f"negative_{number + 1}": space.document_prompt for number in range(recipe.negatives)}
    given = {column: prompt for column, prompt in prompts.items() if prompt}
    return SentenceTransformerTrainingArguments(**usual(lap, least=2), bf16=lap.bfloat16, prompts=given)


def usual(lap: Lap, least: int) -> dict[str, Any]:
    """Say all that matters to a trainer, whatever the library's defaults become.

    Args:
        lap: What to do.
        least: Examples that a device must have at once.
    """
    recipe = lap.recipe
    return {
        "output_dir": str(lap.folder),
        "max_steps": lap.steps,
        "per_device_train_batch_size": max(least, lap.batch // processes(lap.device)),
        "learning_rate": recipe.learning_rate,
        "lr_scheduler_type": "linear",
        "warmup_steps": math.ceil(recipe.warmup * lap.steps),
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "optim": "adamw_torch",
        "use_cpu": lap.device == "cpu",
        "seed": recipe.seed,
        "data_seed": recipe.seed,
        "logging_steps": math.ceil(lap.steps / LOGGED),
        "logging_nan_inf_filter": False,
        "save_strategy": "no",  # the watch says when
        "eval_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": lap.device == "cuda",
        "remove_unused_columns": False,
    }


def _newest(folder: Path) -> str | None:
    """Find the newest checkpoint that is whole, and remove those that a killed run left unfinished."""
    found = {int(path.name.rpartition("-")[2]): path for path in folder.glob("checkpoint-*")}
    whole = {step: path for step, path in found.items() if (path / COMPLETE).is_file()}
    for step in found.keys() - whole.keys():
        shutil.rmtree(found[step])
    return str(whole[max(whole)]) if whole else None
