"""Training of a cross-encoder from the pairs that an encoder learns from, started from that encoder's own network."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from models.device import Device, choose_device
from models.encoder import EncoderFolder
from models.errors import ModelError
from models.memory import reuse_memory
from models.rerank.base import write_settings
from models.rerank.cross import WINDOW, Cross, load
from models.space import digest
from models.text.layout import read_layout
from models.training.hardware import quiet, repeatable
from models.training.plan import Course, History, Plan, TrainingProgress, budgeted, write_json
from models.training.recipe import Recipe

if TYPE_CHECKING:
    import datasets
    from sentence_transformers import CrossEncoder

    from models.training.watch import Lap

__all__ = ["FORMAT", "CrossTrained", "Example", "cross_recipe", "identity", "train_cross", "untrained"]

FORMAT = 1  # of what decides the weights beside the recipe: raised when this code trains otherwise
TIMED = 3  # steps; the first, which warms up, counts least: the median is taken


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
class CrossTrained:
    """What a training came to.

    Attributes:
        folder: The cross-encoder, as a store can keep it.
        id: Id of the folder.
        steps: Steps that were taken.
        step_seconds: Seconds of a step.
        losses: Steps, and the mean loss up to each since the one before.
        rows: Questions with a passage, right or wrong.
        device: Where it was trained.
        threads: CPU threads that it took.
    """

    folder: Path
    id: str
    steps: int
    step_seconds: float
    losses: tuple[tuple[int, float], ...]
    rows: int
    device: str
    threads: int

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON content."""
        return {**asdict(self), "folder": self.folder.name}

    @classmethod
    def from_json(cls, work: Path, content: dict[str, Any]) -> Self:
        """Read what `to_json` gave, for the work folder that it lies in."""
        losses = tuple((step, value) for step, value in content["losses"])
        return cls(**{**content, "losses": losses, "folder": work / content["folder"]})


def cross_recipe(minutes: float = 4, steps: int | None = None, seed: int = 0, **settings: Any) -> Recipe:
    """The recipe of a cross-encoder: half the learning rate of an encoder, and all tokens of question and passage.

    Args:
        minutes: Budget of training, from which the number of steps follows.
        steps: Exactly so many steps instead.
        seed: Seed of the head, of the order and of dropout.
        **settings: Other fields of a recipe: `batch` counts questions with one passage, right or wrong ones, and
            `max_tokens` those of both together.
    """
    usual = {"batch": 32, "learning_rate": 5e-5, "max_tokens": WINDOW, "warmup": 0.1}
    return Recipe.model_validate({"minutes": minutes, "steps": steps, "seed": seed, **usual, **settings})


def identity(
    encoder: EncoderFolder, examples: Sequence[Example], recipe: Recipe, device: Device, threads: int | None
) -> str:
    """Digest of all that decides the weights: who trains the same again goes on where a killed training was."""
    rows = digest([[example.question, example.passage, example.negatives] for example in examples])
    return digest([FORMAT, encoder.space.id, rows, recipe.model_dump(mode="json"), device, threads])


def train_cross(
    encoder: EncoderFolder,
    examples: Sequence[Example],
    recipe: Recipe,
    work: Path,
    *,
    device: Device = "auto",
    threads: int | None = None,
    progress: Callable[[TrainingProgress], None] | None = None,
) -> CrossTrained:
    """Train a cross-encoder by the binary cross-entropy of right and wrong passages.

    As with an encoder, a few steps are timed first, and the number of steps follows from the budget; it lies in the
    work folder, so that a killed training which is called again takes as many, and ends with the same weights. A
    finished one is only read.

    Args:
        encoder: The encoder whose network it starts from.
        examples: What it learns from.
        recipe: How, as `cross_recipe` gives it.
        work: Folder of this training: plan, checkpoints, and the trained network in `model`.
        device: Where to train; `auto` takes a GPU where there is one.
        threads: CPU threads; torch's own choice if None.
        progress: Called whenever there is a loss to tell.

    Raises:
        ModelError: the machine has no such device, there is no example with a negative (it would learn that every
            passage answers), or the work folder is another training's.
    """
    if not any(example.negatives for example in examples):
        raise ModelError(f"none of {len(examples)} examples has a wrong passage; mine negatives before training")
    done = work / "trained.json"
    if not done.is_file():
        work.mkdir(parents=True, exist_ok=True)
        known = identity(encoder, examples, recipe, device, threads)
        plan = Plan.read(work / "plan.json", known)
        chosen = plan.device if plan else choose_device(device, "training on")
        with quiet(), reuse_memory(), repeatable(chosen, plan.threads if plan else threads) as taken:
            training = _Training(encoder, _labelled(examples), recipe, work, progress)
            write_json(done, training.run(plan or training.planned(known, chosen, taken)).to_json())
    shutil.rmtree(work / "training", ignore_errors=True)
    return CrossTrained.from_json(work, json.loads(done.read_text(encoding="utf-8")))


def untrained(encoder: EncoderFolder, recipe: Recipe) -> Cross:
    """Make the network that training would start from: it takes as long for a query as the trained one will."""
    with quiet():
        return Cross("not trained", _started(encoder, recipe))


@dataclass(frozen=True)
class _Training:
    """What all parts of a training need."""

    encoder: EncoderFolder
    rows: datasets.Dataset
    recipe: Recipe
    work: Path
    progress: Callable[[TrainingProgress], None] | None

    def planned(self, known: str, device: str, threads: int) -> Plan:
        """Time a few steps on a network that is thrown away, and fix the number of steps."""
        batch = min(self.recipe.batch, len(self.rows))
        plan = Plan(known, Course(TIMED, 0, 0), batch, None, None, threads, device, bfloat16=False)
        step = None
        if self.recipe.steps is None:
            step = self._taken(plan, "timing")[1].seconds or 1.0
            shutil.rmtree(self.work / "timing", ignore_errors=True)
        course = budgeted(self.recipe, len(self.rows), batch, step or 1.0, 0.0, 0.0)
        plan = Plan(known, course, batch, step, None, threads, device, bfloat16=False)
        plan.write(self.work / "plan.json")
        return plan

    def run(self, plan: Plan) -> CrossTrained:
        """Train, from the newest checkpoint where there is one, and write the folder of the cross-encoder."""
        network, history = self._taken(plan, "training")
        half, whole = self.work / "model.part", self.work / "model"
        for left in (half, whole):  # of a run that was killed while it wrote
            shutil.rmtree(left, ignore_errors=True)
        network.save_pretrained(str(half), create_model_card=False, safe_serialization=True)
        settings = {
            "name": f"trained from {self.encoder.space.name}",
            "window": self.recipe.max_tokens,
            "recipe": self.recipe.model_copy(update={"steps": plan.course.steps}).model_dump(
                mode="json", include={"steps", "learning_rate", "batch", "max_tokens", "warmup", "seed"}
            ),
        }
        named = write_settings(half, "cross", settings)
        half.replace(whole)
        seconds = history.seconds or plan.step_seconds or 0.0
        rows = len(self.rows)
        return CrossTrained(whole, named, history.steps, seconds, history.losses, rows, plan.device, plan.threads)

    def _taken(self, plan: Plan, stage: str) -> tuple[CrossEncoder, History]:
        """Take the steps of a stage; gives the network as it is then."""
        from models.rerank.cross_loop import run_cross

        network = _started(self.encoder, self.recipe)
        return network, run_cross(network, self.rows, self._lap(plan, stage))

    def _lap(self, plan: Plan, stage: str) -> Lap:
        from models.training.watch import Lap

        return Lap.of(plan, stage, self.recipe, self.encoder.space, self.work, self.progress)


def _started(encoder: EncoderFolder, recipe: Recipe) -> CrossEncoder:
    """Make a network with the encoder's transformer and a new head of one number.

    Raises:
        ModelError: the encoder is a stub, which has no network.
    """
    from transformers import set_seed

    if encoder.folder is None or encoder.space.stub:
        raise ModelError(f"{encoder.space.name} is a stub, which has no network to start a cross-encoder from")
    layout = read_layout(encoder.folder)
    transformer = layout.modules[0]
    with tempfile.TemporaryDirectory() as folder:
        start = Path(folder) / "start"
        # Beside modules.json the library would load the whole chain, pooling included, and no head.
        shutil.copytree(transformer.folder, start, ignore=shutil.ignore_patterns("modules.json", "config_sentence_*"))
        shutil.copyfile(layout.tokenizer_file, start / "tokenizer.json")
        set_seed(recipe.seed)  # before the network is made: it draws its head
        return load(start, recipe.max_tokens)


def _labelled(examples: Sequence[Example]) -> datasets.Dataset:
    """Lay examples out as rows of question, passage and label."""
    from datasets import Dataset

    rows: list[dict[str, Any]] = []
    for example in examples:
        rows.append({"question": example.question, "passage": example.passage, "label": 1.0})
        rows.extend({"question": example.question, "passage": wrong, "label": 0.0} for wrong in example.negatives)
    return Dataset.from_list(rows)
