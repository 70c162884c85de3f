"""Trainings in processes of their own, forked from one that has imported the libraries: many cost one import."""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

__all__ = ["LEARNING", "Schools", "pairs", "serve"]

LEARNING = (
    *("models.training.loop", "models.training.trainer", "models.text.sentence", "models.rerank.cross_loop"),
    *("sentence_transformers.sentence_transformer.losses", "transformers.models.bert.modeling_bert"),
)


class Schools:
    """A process that forks one for each job, for the length of a `with` block.

    Args:
        script: The file whose functions are the jobs; run by itself, it calls `serve`.
    """

    def __init__(self, script: str = __file__) -> None:
        self._script = script

    def __enter__(self) -> Self:
        self._process = subprocess.Popen([sys.executable, self._script], stdin=-1, stdout=-1, text=True, bufsize=1)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.wait(60)

    def do(self, job: str, *arguments: Any, kill: str | None = None, within: Path | None = None) -> Any:
        """Do a job in a process of its own.

        Args:
            job: Name of a function of this file.
            *arguments: Its arguments, JSON content.
            kill: A pattern of a path: once there is such a one in `within`, the process is killed.
            within: A folder.

        Returns:
            What the job returned; None where it was killed.
        """
        print(json.dumps([job, *map(_plain, arguments)]), file=self._process.stdin, flush=True)
        pid = int(self._process.stdout.readline())
        while kill and within and not any(within.glob(kill)):
            time.sleep(0.0005)
            if not Path(f"/proc/{pid}/stat").is_file():
                break
        if kill:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        outcome = json.loads(self._process.stdout.readline())
        if outcome["error"]:
            raise AssertionError(outcome["error"])
        return outcome["value"]


def pairs() -> list[tuple[str, str, list[str]]]:
    """Questions and passages that are always there, and no negatives."""
    from tiny import docstrings

    parts = [text.partition("\n") for text in docstrings()]
    return [(head, rest.strip(), []) for head, _, rest in parts if len(rest.strip()) > 40]


def trained(base: str, work: str, recipe: dict[str, Any], looks: bool = True, negatives: bool = False) -> Any:
    """Train on the pairs; give what it came to, with all that was told on the way."""
    import polars as pl

    from models.training.dev import DevQuestions
    from models.training.examples import EXAMPLES
    from models.training.recipe import Recipe
    from models.training.trainer import train

    rows = pairs()
    if negatives:
        rows = [(head, rest, [rows[number - 5][1]]) for number, (head, rest, _) in enumerate(rows)]
    frame = pl.DataFrame(rows, schema=EXAMPLES, orient="row")
    answers = tuple((number,) for number in range(12))
    dev = DevQuestions(tuple(frame["question"][:12]), tuple(frame["passage"]), answers) if looks else None
    told: list[Any] = []
    settings = Recipe.model_validate({"steps": 12, "batch": 8, "learning_rate": 1e-3, **recipe})
    found = train(Path(base), frame, dev, settings, Path(work), device="cpu", threads=1, progress=told.append)
    return {**found.to_json(), "told": [[one.stage, one.step, one.steps, one.loss, one.seconds] for one in told]}


def crossed(base: str, work: str) -> Any:
    """Train a cross-encoder on the pairs, each with a wrong passage; give what it came to."""
    from models.encoder import resolve
    from models.rerank.train_cross import Example, cross_recipe, train_cross

    rows = pairs()
    examples = [Example(head, rest, (rows[number - 5][1],)) for number, (head, rest, _) in enumerate(rows)]
    recipe = cross_recipe(steps=12, batch=4, max_tokens=48)
    found = train_cross(resolve(Path(base)), examples, recipe, Path(work), device="cpu", threads=1)
    return found.to_json()


def vectors(folder: str, texts: list[str]) -> Any:
    """Encode questions with sentence-transformers itself; give the window too."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(folder, local_files_only=True)
    return [model.encode_query(texts, show_progress_bar=False).tolist(), model.max_seq_length]


def adapted(base: str, texts: list[str]) -> Any:
    """Encode with adapters beside the weights, and with the same adapters merged into them."""
    import torch

    from models.training.network import load_base, with_lora

    network = with_lora(load_base(Path(base), "cpu"), 4)
    with torch.no_grad():
        for weight in network.model.parameters():
            if weight.requires_grad:
                weight.normal_(0, 0.1)
    beside = network.model.encode(texts, show_progress_bar=False)
    merged = network.merged()
    names = [name for name in merged.state_dict() if "lora" in name]
    return [beside.tolist(), merged.encode(texts, show_progress_bar=False).tolist(), names]


def _plain(argument: Any) -> Any:
    return str(argument) if isinstance(argument, Path) else argument


def serve(modules: Sequence[str], jobs: Mapping[str, Any]) -> None:
    """What the process does: import, then fork for every line of its standard input."""
    # The jobs' own standard output must stay empty; what this process says goes where that went.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for name in modules:
        importlib.import_module(name)
    gc.freeze()  # else each child walks, and so copies, all that was imported
    for line in sys.stdin:
        _fork(line, answers, jobs)


def _fork(line: str, out: Any, jobs: Mapping[str, Any]) -> None:
    """Do one job in a child, whose outcome comes through a pipe: a killed child leaves none."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        job, *arguments = json.loads(line)
        outcome: dict[str, Any] = {"value": None, "error": None}
        try:
            outcome["value"] = jobs[job](*arguments)
        except Exception:  # noqa: BLE001 - the test is told
            outcome["error"] = traceback.format_exc()
        with os.fdopen(writing, "w") as pipe:
            pipe.write(json.dumps(outcome))
        os._exit(0)
    os.close(writing)
    print(pid, file=out, flush=True)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    os.waitpid(pid, 0)
    print(text or '{"value": null, "error": null}', file=out, flush=True)


if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    serve([*LEARNING, "peft.tuners.lora", "tiny"], globals())
