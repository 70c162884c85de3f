"""Fine-tuning: a better encoder out of a base and examples, repeatable to the bit and resumed after any end."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import polars as pl

from models.device import Device
from models.encoder import resolve
from models.errors import ModelError
from models.memory import reuse_memory
from models.space import digest
from models.training.dev import DevQuestions, peak
from models.training.examples import lay_out
from models.training.hardware import quiet
from models.training.plan import History, Plan, TrainingProgress, write_json
from models.training.recipe import Recipe
from models.training.stages import Training

__all__ = ["Trained", "train"]

FORMAT = 2  # of what decides the weights beside the recipe: raised when this code trains otherwise
# Work files, those that killed runs left among them; none is needed once a training is finished.
LEFT = ("distilling", "training", "timing", "distilled.safetensors", "examples-*.arrow", "model.saved", "*.part")


@dataclass(frozen=True)
class Trained:
    """What a training came to.

    Attributes:
        folder: The encoder, as `resolve` and `SentenceTransformer` open it.
        weights: Digest of its weights.
        steps: Steps that were taken: all of the plan's, or those until it ended early.
        best: The step whose weights were kept.
        step_seconds: Seconds of a step.
        losses: Steps, and the mean loss up to each since the one before.
        curve: Steps, and nDCG@10 on the dev questions; step 0 is the base. Empty without dev questions.
        settings: The recipe, its number of steps fixed.
        examples: Digest of the examples.
        rows: Number of examples that it learned from.
        device: Where it was trained.
        threads: CPU threads that it took.
    """

    folder: Path
    weights: str
    steps: int
    best: int
    step_seconds: float
    losses: tuple[tuple[int, float], ...]
    curve: tuple[tuple[int, float], ...]
    settings: Recipe
    examples: str
    rows: int
    device: str
    threads: int

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON content."""
        return {**asdict(self), "folder": self.folder.name, "settings": self.settings.model_dump(mode="json")}

    @classmethod
    def from_json(cls, work: Path, content: dict[str, Any]) -> Self:
        """Read what `to_json` gave, for the work folder that it lies in."""
        pairs = {key: tuple((step, value) for step, value in content[key]) for key in ("losses", "curve")}
        settings = Recipe.model_validate(content["settings"])
        return cls(**{**content, **pairs, "folder": work / content["folder"], "settings": settings})


def train(
    base: Path,
    examples: pl.DataFrame | pl.LazyFrame,
    dev: DevQuestions | None,
    recipe: Recipe,
    work: Path,
    *,
    device: Device = "auto",
    threads: int | None = None,
    progress: Callable[[TrainingProgress], None] | None = None,
    name: str | None = None,
) -> Trained:
    """Train an encoder.

    A few steps are timed first, and the number of steps follows from the budget; it lies in the work folder, so that a
    killed training which is called again takes as many, and ends with the same weights. A finished one is only read.

    Args:
        base: Folder of the encoder to start from; only read. Its prompts stand before questions and passages.
        examples: EXAMPLES, and ASKED where that is known; a scan of a Parquet file for more than memory should hold.
        dev: Questions that choose the best weights and end the training early; None keeps the last weights.
        recipe: How.
        work: Folder of this training: plan, checkpoints, and the trained encoder in `model`.
        device: Where to train; `auto` takes a GPU where there is one.
        threads: CPU threads; torch's own choice if None.
        progress: Called whenever there is a loss to tell.
        name: Name of the trained encoder, for people; the base's and "tuned" if None.

    Raises:
        ModelError: base, examples or recipe cannot be trained, or the work folder is another training's.
    """
    encoder = resolve(base)
    if encoder.folder is None or encoder.space.stub:
        raise ModelError(f"{encoder.space.name} is a stub, which has nothing to train; name a real encoder")
    work.mkdir(parents=True, exist_ok=True)
    done = work / "trained.json"
    # A file of its own for each process: those of `accelerate launch` share the folder.
    laid = lay_out(examples, recipe.negatives, work / f"examples-{os.getpid()}.arrow")
    wanted = recipe.model_dump(mode="json")
    identity = digest([FORMAT, encoder.space.id, laid.digest, laid.asked, dev and dev.digest, wanted, device, threads])
    try:
        plan = Plan.read(work / "plan.json", identity)
        if not done.is_file():
            training = Training(encoder, encoder.folder, laid, dev, recipe, work, progress)
            with quiet(), reuse_memory():
                plan, history = training.run(plan, identity, device, threads, name or f"{encoder.space.name} tuned")
            _write_once(done, _trained(training, plan, history))
    finally:
        laid.file.unlink()
    for pattern in LEFT:
        for path in work.glob(pattern):
            _remove(path)
    return Trained.from_json(work, json.loads(done.read_text(encoding="utf-8")))


def _trained(training: Training, plan: Plan, history: History) -> Trained:
    """Sum up a training that is finished."""
    folder = training.work / "model"
    begun = () if plan.base is None else ((0, plan.base),)
    return Trained(
        folder=folder,
        weights=resolve(folder).space.weights,
        steps=history.steps,
        best=(peak(history.curve, training.dev.noise) if training.dev else None) or history.steps,
        step_seconds=history.seconds or plan.step_seconds or 0.0,
        losses=history.losses,
        curve=(*begun, *history.curve),
        settings=training.recipe.model_copy(update={"steps": plan.course.steps}),
        examples=training.examples.digest,
        rows=training.examples.used(plan.course.steps, plan.batch),
        device=plan.device,
        threads=plan.threads,
    )


def _write_once(done: Path, trained: Trained) -> None:
    """Write what it came to in the first of several processes; the others wait for it."""
    from accelerate import PartialState

    if PartialState().is_main_process:
        write_json(done, trained.to_json())
    PartialState().wait_for_everyone()


def _remove(path: Path) -> None:
    """Remove a work file, or a folder of such, that another process may remove as well."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    path.unlink(missing_ok=True)
