"""Have a model write questions for passages of a release, and keep them: no passage is paid for twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from models.generate import Cost, Generator, called, cost, open_generator
from storage.tables.documents import DocumentTable
from storage.tables.generated import Generated
from storage.tables.releases import Release
from storage.tables.store import Store
from tasks.context import Context
from tasks.learn.config import GeneratorConfig
from tasks.learn.wording import asks, tidy
from tasks.stage import stage

__all__ = ["Synthesis", "forecast", "generator_of", "synthesise"]

_BATCH = 16  # passages between two durable writes: what a kill may cost
_LEAST = 60  # characters of a passage that is worth a question


@dataclass(frozen=True)
class Synthesis:
    """What a generator wrote.

    Attributes:
        written: Questions of this run.
        useless: Passages for which it wrote none, or nothing that asks.
        kept: Questions that were there already.
    """

    written: int
    useless: int
    kept: int

    @property
    def counts(self) -> dict[str, int]:
        """The three of them."""
        return {"written": self.written, "useless": self.useless, "kept": self.kept}


@stage
def synthesise(context: Context, release: Release, generator: Generator, config: GeneratorConfig) -> Synthesis:
    """Write questions for passages that have none of this model yet, some durable batches at a time.

    Which passages are asked about follows from their hashes alone: a run that was killed goes on where it stopped.

    Raises:
        ModelError: The generator cannot be used or does not answer.
    """
    table = Generated(context.store)
    wanted = _wanted(DocumentTable(context.store, release.tag), config.questions)
    # Anti: what was asked about before is not asked about again, whatever became of it.
    before = table.all(generator.name)
    todo = wanted.join(before, on="content_hash", how="anti", maintain_order="left")
    written = useless = 0
    for part in _passages(DocumentTable(context.store, release.tag), todo):
        questions = generator.write(part["passage"].to_list())
        checked = [question if asks(question) else "" for question in questions]
        asked = part.select("key", "content_hash").with_columns(pl.Series("question", checked, dtype=pl.String))
        table.add(asked, model=generator.name, run=context.run, now=context.now)
        useless += checked.count("")
        written += len(checked) - checked.count("")
        context.progress.advance(written + useless, todo.height, "questions")
    return Synthesis(written, useless, wanted.height - todo.height)


def generator_of(config: GeneratorConfig, base: Path) -> Generator:
    """Open the configured generator.

    Args:
        config: Which.
        base: Folder that a relative folder of a model starts from.

    Raises:
        UnknownModel: There is no such model on this machine.
        ModelError: The address of the endpoint is none.
    """
    return open_generator(_model(config, base), url=config.url, key=config.key)


def forecast(store: Store, release: Release, config: GeneratorConfig, base: Path) -> Cost:
    """What the questions that are still to be written would cost, for a plan; it reads the texts and writes nothing.

    Args:
        store: The store.
        release: Whose passages.
        config: How many questions, by whom, and the price.
        base: Folder that a relative folder of a model starts from.
    """
    documents, model = DocumentTable(store, release.tag), called(_model(config, base), config.url)
    # Anti: what this model was asked about before is not asked about again.
    todo = _wanted(documents, config.questions).join(Generated(store).all(model), on="content_hash", how="anti")
    passages = characters = 0
    for part in _passages(documents, todo):
        passages += part.height
        characters += int(part["passage"].str.len_chars().sum())
    return cost(passages, characters, config.price)


def _model(config: GeneratorConfig, base: Path) -> str:
    """The model, as a whole path where it is a folder."""
    place = base / Path(config.model).expanduser()
    return str(place) if config.url is None and place.is_dir() else config.model


def _wanted(documents: DocumentTable, most: int) -> pl.DataFrame:
    """Key and content of the documents that are asked about: contents are hashes, the smallest a fair sample."""
    ledger = documents.ledger(["key", "content_hash", "duplicate_of"])
    return ledger.filter(pl.col("duplicate_of").is_null()).sort("content_hash").head(most).drop("duplicate_of")


def _passages(documents: DocumentTable, todo: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yield key, content_hash and passage of the documents, a batch at a time; short ones are left out."""
    if todo.is_empty():
        return
    for part in documents.slices(["key", "content_hash", "text"], keys=todo["key"]):
        texts = [tidy(text or "") for text in part["text"]]
        whole = part.select("key", "content_hash").with_columns(pl.Series("passage", texts, dtype=pl.String))
        yield from whole.filter(pl.col("passage").str.len_chars() >= _LEAST).iter_slices(_BATCH)
