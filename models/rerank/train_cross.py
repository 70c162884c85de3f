"""Training of a cross-encoder from the pairs that an encoder learns from, started from that encoder's own network."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.device import Device, choose_device
from models.errors import ModelError
from models.memory import reuse_memory
from models.rerank.base import write_settings
from models.rerank.cross import WINDOW, load
from models.text.layout import read_layout
from models.training.hardware import quiet, repeatable

if TYPE_CHECKING:
    import datasets
    from sentence_transformers import CrossEncoder

__all__ = ["CrossRecipe", "Example", "train_cross"]


@dataclass(frozen=True)
class Example:
    """A question, the passage that answers it, and passages that look like it and do not.

    Attributes:
        question: The question.
        passage: The passage that answers it.
        negatives: Passages mined for it that do not.
    """

    question: str
    passage: str
    negatives: tuple[str, ...] = ()


@dataclass(frozen=True)
class CrossRecipe:
    """How a cross-encoder is trained.

    Attributes:
        steps: Steps, whatever they take: a budget in minutes would break repeatability.
        batch: Pairs of question and passage a step, right and wrong ones.
        learning_rate: Peak of the learning rate, which rises over a tenth of the steps and falls to 0.
        window: Tokens of question and passage together.
        seed: Seed of the head, of the order and of dropout.
    """

    steps: int = 100
    batch: int = 32
    learning_rate: float = 5e-5
    window: int = WINDOW
    seed: int = 0


def train_cross(
    encoder: Path,
    examples: Sequence[Example],
    recipe: CrossRecipe,
    destination: Path,
    device: Device = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> str:
    """Train a cross-encoder by the binary cross-entropy of right and wrong passages.

    The same encoder, examples, recipe and threads give the same weights.

    Args:
        encoder: Folder of the encoder whose network it starts from.
        examples: What it learns from.
        recipe: How.
        destination: A folder that does not exist.
        device: Where to train; `auto` takes a GPU where there is one.
        progress: Called after each step with how many are done, and of how many.

    Returns:
        The id of the folder.

    Raises:
        ModelError: the machine has no such device, or there is no example with a negative: it would learn that every
            passage answers.
    """
    if not any(example.negatives for example in examples):
        raise ModelError(f"none of {len(examples)} examples has a wrong passage; mine negatives before training")
    from transformers import set_seed

    chosen = choose_device(device, "training on")
    with tempfile.TemporaryDirectory() as folder, quiet(), reuse_memory(), repeatable(chosen, None):
        set_seed(recipe.seed)  # before the network is made: it draws its head
        network = _started(encoder, recipe, Path(folder) / "start")
        _run(network, _labelled(examples), recipe, Path(folder) / "work", chosen, progress)
        network.save_pretrained(str(destination), create_model_card=False, safe_serialization=True)
    return write_settings(destination, "cross", {"name": f"trained from {encoder.name}", "window": recipe.window})


def _started(encoder: Path, recipe: CrossRecipe, start: Path) -> CrossEncoder:
    """Make a network with the encoder's transformer and a new head of one number."""
    layout = read_layout(encoder)
    transformer = layout.modules[0]
    # Beside modules.json the library would load the whole chain, pooling included, and no head.
    shutil.copytree(transformer.folder, start, ignore=shutil.ignore_patterns("modules.json", "config_sentence_*"))
    shutil.copyfile(layout.tokenizer_file, start / "tokenizer.json")
    return load(start, recipe.window)


def _labelled(examples: Sequence[Example]) -> datasets.Dataset:
    """Lay examples out as rows of question, passage and label."""
    from datasets import Dataset

    rows: list[dict[str, Any]] = []
    for example in examples:
        rows.append({"question": example.question, "passage": example.passage, "label": 1.0})
        rows.extend({"question": example.question, "passage": wrong, "label": 0.0} for wrong in example.negatives)
    return Dataset.from_list(rows)


def _run(
    network: CrossEncoder,
    rows: datasets.Dataset,
    recipe: CrossRecipe,
    work: Path,
    device: str,
    progress: Callable[[int, int], None] | None,
) -> None:
    import torch
    from sentence_transformers.cross_encoder import CrossEncoderTrainer, CrossEncoderTrainingArguments
    from sentence_transformers.cross_encoder.losses import BinaryCrossEntropyLoss
    from transformers.trainer_callback import PrinterCallback, TrainerCallback

    class Told(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if progress is not None:
                progress(state.global_step, state.max_steps)

    arguments = CrossEncoderTrainingArguments(
        output_dir=str(work),
        max_steps=recipe.steps,
        per_device_train_batch_size=recipe.batch,
        learning_rate=recipe.learning_rate,
        warmup_steps=max(1, recipe.steps // 10),
        seed=recipe.seed,
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=device == "cpu",
    )
    wrong, right = rows["label"].count(0.0), rows["label"].count(1.0)
    # Each kind counts half: with eight wrong passages a right one, "no" to all would be a fair answer otherwise.
    loss = BinaryCrossEntropyLoss(network, pos_weight=torch.tensor(wrong / right))
    trainer = CrossEncoderTrainer(model=network, args=arguments, train_dataset=rows, loss=loss, callbacks=[Told()])
    trainer.pop_callback(PrinterCallback)  # it prints to standard output
    trainer.train()
