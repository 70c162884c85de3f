"""What goes on beside the steps of a training: looks, the best weights, checkpoints, the end; imported late."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from accelerate.utils import broadcast_object_list
from sentence_transformers import SentenceTransformer
from transformers import TrainerCallback

from models.errors import ModelError
from models.space import Space
from models.training.dev import DevQuestions, exhausted, ndcg, peak
from models.training.network import save_state
from models.training.plan import Plan, TrainingProgress, write_json
from models.training.recipe import Recipe

__all__ = ["COMPLETE", "Lap", "Watch", "curve_of", "look"]

SAVING = 30.0  # seconds from checkpoint to checkpoint
QUARTERS = 4  # checkpoints of a short training
COMPLETE = "complete.json"  # written into a checkpoint after all of its files
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

    @classmethod
    def of(
        cls,
        plan: Plan,
        stage: str,
        recipe: Recipe,
        space: Space,
        work: Path,
        progress: Callable[[TrainingProgress], None] | None,
    ) -> Self:
        """A stage as it is planned, without dev questions.

        Args:
            plan: What was decided for the whole training.
            stage: Its name; one that is only timed saves nothing.
            recipe: Rate, warm-up, patience and seed.
            space: Of the base.
            work: Folder of the training.
            progress: Called whenever there is a loss to tell.
        """
        return cls(
            stage=stage,
            recipe=recipe,
            space=space,
            steps=plan.course.steps,
            batch=plan.batch,
            device=plan.device,
            bfloat16=plan.bfloat16,
            look_every=0,
            dev=None,
            folder=work / stage,
            saving=stage != "timing",
            progress=progress,
        )

    @property
    def best(self) -> Path:
        """The file of the weights that are kept."""
        return self.folder / "best.safetensors"

    @property
    def limit(self) -> int:
        """Tokens of a text that training sees."""
        return min(self.recipe.max_tokens, self.space.window or self.recipe.max_tokens)


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


def curve_of(entries: list[dict[str, float]]) -> tuple[tuple[int, float], ...]:
    """Pick the looks out of the log of a trainer's state: their steps, and nDCG@10."""
    return tuple((int(entry["step"]), entry["ndcg"]) for entry in entries if "ndcg" in entry)


class Watch(TrainerCallback):
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
        """Begin to measure."""
        self._first = self._saved = time.monotonic()
        self._from = state.global_step

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Begin to measure a step."""
        self._begun = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """Look, keep the best weights, end early, and ask for a checkpoint, where each is due."""
        lap, step = self._lap, state.global_step
        self.durations.append(time.monotonic() - self._begun)
        last = step >= lap.steps
        if lap.dev is not None and lap.look_every and (last or step % lap.look_every == 0):
            # One process decides for all: they must stop together.
            value = float(broadcast_object_list([look(model, lap)])[0])
            state.log_history.append({"step": step, "ndcg": value})
            curve, noise = curve_of(state.log_history), lap.dev.noise
            if peak(curve, noise) == step and state.is_world_process_zero:
                save_state(model, lap.best)
            control.should_training_stop |= exhausted(curve, lap.recipe.patience, noise)
        elif last and lap.saving and state.is_world_process_zero:
            save_state(model, lap.best)
        # From a checkpoint of the last step the library would take one more.
        if lap.saving and not last and not control.should_training_stop:
            due = time.monotonic() - self._saved > SAVING or step % math.ceil(lap.steps / QUARTERS) == 0
            control.should_save = bool(broadcast_object_list([due])[0])

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Mark the checkpoint as whole, and only then remove the ones before it."""
        self._saved = time.monotonic()
        if state.is_world_process_zero:
            newest = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            write_json(newest / COMPLETE, {})
            for older in set(newest.parent.glob("checkpoint-*")) - {newest}:
                shutil.rmtree(older)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Tell how far it is, and refuse a loss that is not finite."""
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
