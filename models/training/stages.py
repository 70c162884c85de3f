"""The stages of a training: plan, distil, train, export; each is done once, however often a run is killed."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from models.device import Device, choose_device
from models.encoder import EncoderFolder
from models.training.dev import DevQuestions
from models.training.examples import Examples
from models.training.export import export
from models.training.hardware import repeatable, wants_bfloat16
from models.training.losses import distillation, ranking
from models.training.network import Network, load_base, load_state, shorten, with_lora
from models.training.plan import Course, History, Plan, TrainingProgress, budgeted, write_json
from models.training.recipe import Recipe

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer
    from torch import nn

    from models.training.watch import Lap

__all__ = ["Training"]

TIMED = 3  # steps; the first, which warms up, counts least: the median is taken


@dataclass(frozen=True)
class Training:
    """What all stages of a training need.

    Attributes:
        encoder: The base.
        folder: Its folder.
        examples: The examples, laid out.
        dev: Questions that choose the best weights; None keeps the last.
        recipe: How.
        work: The work folder.
        progress: Called whenever there is a loss to tell.
    """

    encoder: EncoderFolder
    folder: Path
    examples: Examples
    dev: DevQuestions | None
    recipe: Recipe
    work: Path
    progress: Callable[[TrainingProgress], None] | None

    def run(
        self, plan: Plan | None, identity: str, device: Device, threads: int | None, name: str
    ) -> tuple[Plan, History]:
        """Do what is not done yet, and leave the trained encoder in the folder `model`.

        Args:
            plan: What was planned before; None where nothing was.
            identity: What a new plan holds for.
            device: Where to train, where it is not planned.
            threads: CPU threads, where they are not planned.
            name: Name of the trained encoder.
        """
        from accelerate import PartialState

        chosen = plan.device if plan else choose_device(device, "training on")
        with repeatable(chosen, plan.threads if plan else threads) as taken:
            PartialState().wait_for_everyone()  # all processes have read the plan, or none
            if plan is None:
                plan = self._planned(identity, chosen, taken)
            if plan.course.distilling:
                self._distil(plan)
            lap = replace(self._lap(plan, "training"), dev=self.dev, look_every=plan.course.look_every)
            history = self._train(plan, lap)
            if PartialState().is_main_process:
                trained = self._built(plan.device, lap.best).merged()
                export(trained, self.encoder, self.work / "model", name, self.recipe.layers is not None)
            PartialState().wait_for_everyone()
        return plan, history

    def _planned(self, identity: str, device: str, threads: int) -> Plan:
        """Time a few steps on networks that are thrown away, and fix the number of steps."""
        from accelerate import PartialState
        from accelerate.utils import broadcast_object_list

        from models.training.watch import look

        batch = min(self.recipe.batch, self.examples.distinct)
        half = wants_bfloat16(self.recipe, device)
        plan = Plan(identity, Course(TIMED, TIMED, 0), batch, None, None, threads, device, half)
        base, looking = None, 0.0
        if self.dev is not None:
            lap, network = replace(self._lap(plan, "timing"), dev=self.dev), self._loaded(device)
            started = time.monotonic()
            base = look(network, lap)
            looking = time.monotonic() - started
        step = distilling = None
        if self.recipe.steps is None:
            step = self._timed(plan, taught=False)
            distilling = self._timed(plan, taught=True) if self.recipe.layers else None
        course = budgeted(self.recipe, self.examples.rows, batch, step or 1.0, looking, distilling or 0.0)
        planned: Plan = broadcast_object_list([replace(plan, course=course, step_seconds=step, base=base)])[0]
        if PartialState().is_main_process:
            planned.write(self.work / "plan.json")
        return planned

    def _timed(self, plan: Plan, taught: bool) -> float:
        """Time steps on real batches."""
        from models.training.loop import run_lap

        network = self._student(plan.device)
        loss = distillation(network, self._loaded(plan.device)) if taught else self._ranking(network, plan.device)
        lap = self._lap(plan, "timing")
        seconds = run_lap(network, loss, self._open(lap), lap).seconds
        shutil.rmtree(self.work / "timing", ignore_errors=True)
        return seconds or 1.0

    def _distil(self, plan: Plan) -> None:
        """Teach the student to point where its teacher does; its weights are then what training starts from."""
        from accelerate import PartialState

        from models.training.loop import run_lap

        if not self._distilled.is_file():
            student = self._student(plan.device)
            lap = replace(self._lap(plan, "distilling"), steps=plan.course.distilling)
            run_lap(student, distillation(student, self._loaded(plan.device)), self.examples.open(), lap)
            PartialState().wait_for_everyone()
            if PartialState().is_main_process:
                lap.best.replace(self._distilled)
        PartialState().wait_for_everyone()

    def _train(self, plan: Plan, lap: Lap) -> History:
        """Train with the ranking loss, unless that is done."""
        from accelerate import PartialState

        from models.training.loop import run_lap

        done = lap.folder / "history.json"
        if done.is_file():
            return History.from_json(json.loads(done.read_text(encoding="utf-8")))
        network = self._built(plan.device, None)
        history = run_lap(network.model, self._ranking(network.model, plan.device), self._open(lap), lap)
        if PartialState().is_main_process:
            write_json(done, asdict(history))
        return history

    def _open(self, lap: Lap) -> Dataset:
        """Open what a stage learns from."""
        return self.examples.open(self.examples.used(lap.steps, lap.batch))

    @property
    def _distilled(self) -> Path:
        return self.work / "distilled.safetensors"

    def _loaded(self, device: str) -> SentenceTransformer:
        from transformers import set_seed

        set_seed(self.recipe.seed)  # whatever a network draws that is not in its files
        return load_base(self.folder, device)

    def _student(self, device: str) -> SentenceTransformer:
        """Load the base, with the recipe's layers, none of which has learned anything yet."""
        network = self._loaded(device)
        if self.recipe.layers:
            shorten(network, self.recipe.layers)
        return network

    def _built(self, device: str, state: Path | None) -> Network:
        """Build the network as it is trained with the ranking loss, with weights that were saved of it."""
        model = self._student(device)
        if self.recipe.layers:
            load_state(model, self._distilled)
        network = with_lora(model, self.recipe.lora) if self.recipe.lora else Network(model)
        if state is not None:
            load_state(model, state)
        return network

    def _ranking(self, model: SentenceTransformer, device: str) -> nn.Module:
        from models.training.loop import processes

        return ranking(model, self.recipe, processes(device))

    def _lap(self, plan: Plan, stage: str) -> Lap:
        """Give a stage without dev questions."""
        from models.training.watch import Lap

        return Lap.of(plan, stage, self.recipe, self.encoder.space, self.work, self.progress)
