"""What a training will do, fixed before it begins, and how far it came: a budget becomes steps, which repeat."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from models.errors import ModelError
from models.training.recipe import Recipe

__all__ = ["Course", "History", "Plan", "TrainingProgress", "budgeted", "write_json"]

LOOKS = 10
LOOKING = 0.1  # share of the budget for looks at the dev questions: in a short one, a step gains more than a look
DISTILLING = 0.5  # share that a student learns from its teacher, before it learns from the examples


@dataclass(frozen=True)
class Course:
    """How many steps there are.

    Attributes:
        steps: Of the ranking loss.
        distilling: Before them, of a student that learns from its teacher; 0 without a student.
        look_every: Steps from look to look at the dev questions.
    """

    steps: int
    distilling: int
    look_every: int


@dataclass(frozen=True)
class Plan:
    """What a training will do.

    Attributes:
        identity: Digest of base, examples, dev questions and recipe: what a plan holds for.
        course: How many steps.
        batch: Examples a step: the recipe's, or as many as there are different passages.
        step_seconds: What a step took when it was timed; None where the recipe gives the steps.
        base: nDCG@10 of the base on the dev questions; None without any.
        threads: CPU threads; other numbers of threads give other weights.
        device: Where it runs.
        bfloat16: Whether products are computed in bfloat16.
    """

    identity: str
    course: Course
    batch: int
    step_seconds: float | None
    base: float | None
    threads: int
    device: str
    bfloat16: bool

    @classmethod
    def read(cls, file: Path, identity: str) -> Self | None:
        """Read the plan of a training that was begun, None if there is none.

        Raises:
            ModelError: the plan is for something else.
        """
        if not file.is_file():
            return None
        content = json.loads(file.read_text(encoding="utf-8"))
        if content["identity"] != identity:
            raise ModelError(
                f"{file.parent} holds a training that was begun with another base, recipe or other examples: give "
                "a folder of its own to each, or remove it"
            )
        return cls(**{**content, "course": Course(**content["course"])})

    def write(self, file: Path) -> None:
        """Write it, whole or not at all."""
        write_json(file, asdict(self))


@dataclass(frozen=True)
class TrainingProgress:
    """How far a training is.

    Attributes:
        stage: What it does: a student distils first.
        step: Steps that are done.
        steps: Steps of this stage; early stopping may end it before.
        loss: Mean loss since the last time.
        seconds: Seconds left of this stage, judged by the steps so far; looks at dev questions included.
    """

    stage: str
    step: int
    steps: int
    loss: float
    seconds: float


@dataclass(frozen=True)
class History:
    """What a lap came to.

    Attributes:
        steps: Steps that were taken.
        losses: Steps, and the mean loss up to each since the one before.
        curve: Steps, and nDCG@10 on the dev questions after each.
        seconds: Of a step, without looks and checkpoints; the median of this process, None where it took none.
    """

    steps: int
    losses: tuple[tuple[int, float], ...]
    curve: tuple[tuple[int, float], ...]
    seconds: float | None

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """Read it back from JSON content, where a tuple is a list."""
        pairs = {key: tuple((step, value) for step, value in content[key]) for key in ("losses", "curve")}
        return cls(**{**content, **pairs})


def budgeted(recipe: Recipe, rows: int, batch: int, step: float, look: float, distilling: float) -> Course:
    """Fix the number of steps.

    Args:
        recipe: Minutes, or the number of steps itself.
        rows: Number of examples.
        batch: Examples a step.
        step: Seconds of a step, as timed.
        look: Seconds of a look at the dev questions, 0 without any.
        distilling: Seconds of a step of distillation, 0 without a student.

    Returns:
        A course of at least one step.
    """
    most = max(1, int(recipe.epochs * rows / batch))
    if recipe.steps is not None:
        return Course(recipe.steps, recipe.steps if recipe.layers else 0, math.ceil(recipe.steps / LOOKS))
    seconds = recipe.minutes * 60
    taught = min(most, max(1, int(seconds * DISTILLING / distilling))) if recipe.layers and distilling else 0
    left = seconds * (1 - DISTILLING) if taught else seconds
    looks = min(LOOKS, max(1, int(left * LOOKING / look))) if look else LOOKS
    steps = min(most, max(1, int((left - looks * look) / step)))
    return Course(steps, taught, math.ceil(steps / looks))


def write_json(file: Path, content: Any) -> None:
    """Write JSON so that a reader, and a run that is killed, sees it whole or not at all."""
    unfinished = file.with_name(f"{file.name}.part")
    unfinished.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    unfinished.replace(file)
