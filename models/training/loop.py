"""The training loop: the trainer of sentence-transformers, resumed to the bit; heavy, so it is imported late."""

from __future__ import annotations

import logging
import math
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from datasets import Dataset
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.base.sampler import DefaultBatchSampler, NoDuplicatesBatchSampler
from torch import nn
from transformers import TrainerCallback
from transformers.trainer_callback import PrinterCallback

from models.errors import ModelError
from models.space import Space
from models.training.dev import DevQuestions, exhausted, ndcg, peak
from models.training.network import load_state, save_state
from models.training.plan import History, TrainingProgress, write_json
from models.training.recipe import Recipe

__all__ = ["Lap", "look", "processes", "run_lap"]

logger = logging.getLogger(__name__)

SAVING = 30.0  # seconds from checkpoint to checkpoint
QUARTERS = 4  # checkpoints of a short training
COMPLETE = "complete.json"  # written into a checkpoint after all of its files
LOGGED = 500  # losses that are kept of a training
BATCH = 64  # texts that are encoded at once in a look


@dataclass(frozen=True)
class Lap:
    """One stage of a training.

    Attributes:
        stage: `distilling` or `training`.
        recipe: Rate, warm-up, patience and seed.
        space: Of the base: its prompts and its window.
        steps: How many.
        batch: Examples a step, over all devices.
        device: Where it runs.
        bfloat16: Whether products are computed in bfloat16.
        look_every: Steps from look to look at the dev questions; 0 for none.
        dev: The dev questions.
        folder: Its checkpoints, its best weights, and what it came to.
        saving: Whether it saves any.
        progress: Called whenever there is a loss to tell.
    """

    stage: str
    recipe: Recipe
    space: Space
    steps: int
    batch: int
    device: str
    bfloat16: bool
    look_every: int
    dev: DevQuestions | None
    folder: Path
    saving: bool = True
    progress: Callable[[TrainingProgress], None] | None = None

    @property
    def best(self) -> Path:
        """The file of the weights that are kept."""
        return self.folder / "best.safetensors"

    @property
    def limit(self) -> int:
        """Tokens of a text that training sees."""
        return min(self.recipe.max_tokens, self.space.window or self.recipe.max_tokens)


def processes(device: str) -> int:
    """Count the devices that a batch is spread over: those of `accelerate launch`, or the GPUs of this process."""
    launched = int(PartialState().num_processes)
    return torch.cuda.device_count() if launched == 1 and device == "cuda" else launched


def look(model: SentenceTransformer, lap: Lap) -> float:
    """Measure nDCG@10 on the dev questions, on as many tokens of each text as training sees."""
    if lap.dev is None:
        raise ValueError("there are no dev questions to look at")
    settings: dict[str, Any] = {
        "batch_size": BATCH,
        "show_progress_bar": False,
        "convert_to_numpy": True,
        "normalize_embeddings": True,
        "processing_kwargs": {"text": {"max_length": lap.limit, "truncation": True}},
    }
    training = model.training
    questions = model.encode_query(list(lap.dev.questions), prompt=lap.space.query_prompt, **settings)
    passages = model.encode_document(list(lap.dev.passages), prompt=lap.space.document_prompt, **settings)
    model.train(training)
    return ndcg(questions, passages, lap.dev.relevant)


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
    watch = _Watch(lap)
    trainer = _Loop(lap, model=model, args=_arguments(lap), train_dataset=examples, loss=loss, callbacks=[watch])
    trainer.pop_callback(PrinterCallback)  # it prints to standard output
    trainer.train(resume_from_checkpoint=_newest(lap.folder))
    entries = trainer.state.log_history
    return History(
        trainer.state.global_step,
        tuple((int(entry["step"]), entry["loss"]) for entry in entries if "loss" in entry),
        _curve(entries),
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


class _Loop(SentenceTransformerTrainer):
    """The library's trainer, with checkpoints of weights alone and without what it writes for its hub."""

    def __init__(self, lap: Lap, **settings: Any) -> None:
        self._lap = lap
        super().__init__(**settings)
        # Not by the model's own limit: setting that writes into the tokenizer that is saved.
        self.data_collator.max_length = lap.limit

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """Write no card: it asks the hub, and knows nothing of releases."""

    def get_batch_sampler(self, dataset: Dataset, batch_size: int, *_: Any, **__: Any) -> DefaultBatchSampler:
        """Give all batches of the training as one pass."""
        count = self._lap.steps * int(self.args.world_size)
        return _Batches(dataset, batch_size, count, self._lap.recipe.seed)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """Save trained weights alone: adapters cannot be loaded otherwise, nor a student without its shape."""
        save_state(self.model, Path(output_dir or self._lap.folder) / "model.safetensors")

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        load_state(self.model, Path(resume_from_checkpoint) / "model.safetensors")


class _Watch(TrainerCallback):
    """Looks at dev questions, keeps the best weights, ends early, makes checkpoints and tells how far it is.

    Its memory is the log of the trainer's state, which lies in every checkpoint: what was seen after the checkpoint
    that a run resumes from is forgotten, and seen again.
    """

    def __init__(self, lap: Lap) -> None:
        self._lap = lap
        self.durations: list[float] = []
        self._first = self._begun = self._saved = time.monotonic()
        self._from = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._first = self._saved = time.monotonic()
        self._from = state.global_step

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._begun = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        lap, step = self._lap, state.global_step
        self.durations.append(time.monotonic() - self._begun)
        last = step >= lap.steps
        if lap.dev is not None and lap.look_every and (last or step % lap.look_every == 0):
            # One process decides for all: they must stop together.
            value = float(broadcast_object_list([look(model, lap)])[0])
            state.log_history.append({"step": step, "ndcg": value})
            if peak(_curve(state.log_history)) == step and state.is_world_process_zero:
                save_state(model, lap.best)
            control.should_training_stop |= exhausted(_curve(state.log_history), lap.recipe.patience)
        elif last and lap.saving and state.is_world_process_zero:
            save_state(model, lap.best)
        # From a checkpoint of the last step the library would take one more.
        if lap.saving and not last and not control.should_training_stop:
            due = time.monotonic() - self._saved > SAVING or step % math.ceil(lap.steps / QUARTERS) == 0
            control.should_save = bool(broadcast_object_list([due])[0])

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._saved = time.monotonic()
        if state.is_world_process_zero:
            newest = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            write_json(newest / COMPLETE, {})
            for older in set(newest.parent.glob("checkpoint-*")) - {newest}:
                shutil.rmtree(older)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if "loss" not in (logs or {}):
            return
        lap, step = self._lap, state.global_step
        if not math.isfinite(logs["loss"]):
            raise ModelError(
                f"step {step} of {lap.stage}: the loss is {logs['loss']}; lower learning.learning_rate, which is "
                f"{lap.recipe.learning_rate}"
            )
        if lap.progress is not None and state.is_world_process_zero:
            pace = (time.monotonic() - self._first) / max(1, step - self._from)
            lap.progress(TrainingProgress(lap.stage, step, lap.steps, logs["loss"], pace * (lap.steps - step)))


def _arguments(lap: Lap) -> SentenceTransformerTrainingArguments:
    """Say all that matters, whatever the library's defaults become."""
    recipe, space = lap.recipe, lap.space
    prompts = {"question": space.query_prompt, "passage": space.document_prompt}
    prompts |= {f"negative_{number + 1}": space.document_prompt for number in range(recipe.negatives)}
    return SentenceTransformerTrainingArguments(
        output_dir=str(lap.folder),
        max_steps=lap.steps,
        per_device_train_batch_size=max(2, lap.batch // processes(lap.device)),
        learning_rate=recipe.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=math.ceil(recipe.warmup * lap.steps),
        weight_decay=0.0,
        max_grad_norm=1.0,
        optim="adamw_torch",
        bf16=lap.bfloat16,
        use_cpu=lap.device == "cpu",
        seed=recipe.seed,
        data_seed=recipe.seed,
        prompts={column: prompt for column, prompt in prompts.items() if prompt},
        logging_steps=math.ceil(lap.steps / LOGGED),
        logging_nan_inf_filter=False,
        save_strategy="no",  # the watch says when
        eval_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=lap.device == "cuda",
        remove_unused_columns=False,
    )


def _newest(folder: Path) -> str | None:
    """Find the newest checkpoint that is whole, and remove those that a killed run left unfinished."""
    found = {int(path.name.rpartition("-")[2]): path for path in folder.glob("checkpoint-*")}
    whole = {step: path for step, path in found.items() if (path / COMPLETE).is_file()}
    for step in found.keys() - whole.keys():
        shutil.rmtree(found[step])
    return str(whole[max(whole)]) if whole else None


def _curve(entries: list[dict[str, float]]) -> tuple[tuple[int, float], ...]:
    return tuple((int(entry["step"]), entry["ndcg"]) for entry in entries if "ndcg" in entry)
