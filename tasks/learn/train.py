"""Train challengers from pairs: the trained encoder, and the same averaged with what it started from."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

import polars as pl
from pyarrow.parquet import ParquetWriter

from models.encoder import EncoderFolder, resolve
from models.training.average import average
from models.training.dev import DevQuestions
from models.training.examples import ASKED, EXAMPLES
from models.training.plan import TrainingProgress
from models.training.recipe import Recipe
from models.training.trainer import FORMAT, Trained, train
from storage.cache import cache_folder
from storage.hashing import digest
from storage.tables.store import Store
from tasks.learn.config import LearningConfig
from tasks.progress import Progress
from tasks.stage import stage

__all__ = [
    "AVERAGED",
    "TUNED",
    "Challenger",
    "Training",
    "clear_trainings",
    "cross_folder",
    "cross_folders",
    "fine_tune",
    "recipe_of",
    "training_folder",
    "trainings",
    "write_examples",
]

TUNED, AVERAGED = "tuned", "averaged"
CROSS_FOLDER = "cross-"  # how the folders of cross-encoders begin: each kind of training clears up after its own


@dataclass(frozen=True)
class Challenger:
    """An encoder that may take the champion's place.

    Attributes:
        name: `tuned`, or `averaged` for the mean of the tuned weights and the champion's, which forgets less.
        encoder: Its files.
    """

    name: str
    encoder: EncoderFolder


@dataclass(frozen=True)
class Training:
    """What training came to.

    Attributes:
        trained: Steps, losses, curve and settings.
        challengers: The averaged one first, where there is one.
    """

    trained: Trained
    challengers: tuple[Challenger, ...] = field(default=())

    @property
    def counts(self) -> dict[str, int]:
        """Examples and steps."""
        return {"examples": self.trained.rows, "steps": self.trained.steps, "challengers": len(self.challengers)}


def recipe_of(config: LearningConfig) -> Recipe:
    """The recipe alone, without where pairs come from and who approves: these do not decide the weights."""
    return Recipe.model_validate(config.model_dump(include=set(Recipe.model_fields)))


def trainings(store: Store) -> Path:
    """The folder of all trainings of a store.

    It lies apart from the work folders of runs, which go with the next run: training holds no lease, and other runs
    come and go meanwhile.
    """
    return (store.folder or cache_folder() / digest(store.uri)) / "training"


def training_folder(store: Store, champion: EncoderFolder, examples: str, looks: str, recipe: Recipe) -> Path:
    """The folder of one training: whoever trains the same again goes on in it, also after a kill.

    All that decides the weights has a part in its name: what is trained otherwise begins anew, in another folder.

    Args:
        store: The store.
        champion: The encoder to start from; it says where it runs.
        examples: Digest of the examples.
        looks: Digest of the dev questions.
        recipe: How.
    """
    runs = f"{FORMAT} {champion.config.device} {champion.config.threads}"
    parts = [champion.space.id, examples, looks, recipe.model_dump_json(), runs]
    return trainings(store) / digest("\x1f".join(parts))[:16]


@stage
def fine_tune(
    champion: EncoderFolder,
    examples: pl.LazyFrame,
    looks: DevQuestions | None,
    recipe: Recipe,
    work: Path,
    progress: Progress,
    alive: Callable[[], None],
) -> Training:
    """Train a challenger, and average it with the champion as a second one.

    Args:
        champion: What serves now; only read.
        examples: Questions and passages, as `models.training.examples` has them.
        looks: Dev questions that end the training early.
        recipe: How.
        work: Folder of this training.
        progress: Where it says how far it is.
        alive: Called from time to time, to show that the run lives.

    Raises:
        ModelError: The champion is a stub, or the examples cannot be trained with.
    """
    folder = champion.folder or work  # a stub has none, which `train` refuses in its own words

    def report(now: TrainingProgress) -> None:
        alive()
        steps = "steps" if now.stage != "timing" else "timed steps"
        progress.advance(now.step, now.steps, f"{steps}, loss {now.loss:.3f}")

    trained = train(
        folder,
        examples,
        looks,
        recipe,
        work,
        device=champion.config.device,
        threads=champion.config.threads,
        progress=report,
    )
    tuned = Challenger(TUNED, resolve(trained.folder))
    if recipe.layers is not None:  # a student has fewer tensors than its teacher: there is no mean of the two
        return Training(trained, (tuned,))
    averaged = work / AVERAGED
    if averaged.exists():  # of a run that was killed while it wrote
        shutil.rmtree(averaged)
    return Training(trained, (Challenger(AVERAGED, resolve(average(trained.folder, folder, averaged))), tuned))


def write_examples(pairs: Iterator[pl.DataFrame], file: Path) -> str:
    """Write pairs as examples to a Parquet file, slice by slice; returns the digest of their rows, in their order.

    Args:
        pairs: question, passage, negatives where they were mined, and ASKED where that is known.
        file: Where to.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    columns = {**EXAMPLES, ASKED: pl.Boolean()}
    identity, schema = blake2b(digest_size=16), pl.DataFrame(schema=columns).to_arrow().schema
    with ParquetWriter(file, schema) as out:
        for part in pairs:
            unknown = {"negatives": pl.lit([], pl.List(pl.String)), ASKED: pl.lit(False)}
            lacking = {name: value for name, value in unknown.items() if name not in part.columns}
            rows = part.with_columns(**lacking).select(list(columns)).cast(columns)  # type: ignore[arg-type]
            out.write_table(rows.to_arrow().cast(schema))
            for question, passage, negatives, asked in rows.iter_rows():
                row = "\x1f".join([question, passage, "\x1d".join(negatives), "asked" if asked else ""])
                identity.update(f"{row}\x1e".encode("utf-8", "surrogatepass"))
    return identity.hexdigest()


def cross_folder(store: Store, identity: str) -> Path:
    """The folder of one training of a cross-encoder: whoever trains the same again goes on in it.

    Args:
        store: The store.
        identity: Digest of all that decides the weights.
    """
    return trainings(store) / f"{CROSS_FOLDER}{identity[:16]}"


def cross_folders(store: Store) -> list[Path]:
    """The folders of all trainings of cross-encoders, finished or not."""
    return sorted(trainings(store).glob(f"{CROSS_FOLDER}*"))


def clear_trainings(store: Store, kept: Sequence[Path] = (), among: Sequence[Path] | None = None) -> None:
    """Remove the folders of trainings that are over.

    Args:
        store: The store, whose trainings its caller holds.
        kept: Folders that stay.
        among: Folders that may go; all if None.
    """
    for folder in trainings(store).glob("*") if among is None else among:
        if folder not in kept:
            # Renamed first: half of a finished training must not be taken for one, should somebody train it again.
            gone = folder.with_suffix(".gone")
            shutil.rmtree(gone, ignore_errors=True)  # what a killed clean-up left of an earlier one
            if folder != gone and folder.is_dir():
                shutil.rmtree(folder.replace(gone), ignore_errors=True)
