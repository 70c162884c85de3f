"""Say what a retraining would cost, as far as that is cheap to know."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from storage.tables.chunks import ChunkTable
from storage.tables.index import BYTES
from storage.tables.pairs import PairTable
from storage.tables.releases import Release
from storage.tables.store import Store
from tasks.learn.config import LearningConfig

__all__ = ["Retraining", "Writing", "foresee"]


@dataclass(frozen=True)
class Writing:
    """What the generator would be asked.

    Attributes:
        model: What writes.
        calls: Passages that have no question of it yet, one call each.
        tokens: In and out, about.
        price: Of all tokens, in the currency of `learning.generator.price`.
    """

    model: str
    calls: int
    tokens: int
    price: float


@dataclass(frozen=True)
class Retraining:
    """What a retraining would cost.

    Attributes:
        pairs: Part to the number of pairs; None where none were made of these documents yet.
        minutes: Budget of training, that of a cross-encoder with it where one is wanted.
        chunks: Chunks that the new encoder would embed, all of them.
        tokens: Tokens of these.
        estimated_seconds: Of training and embedding.
        bytes: Of vectors and texts to be written.
        generator: Questions to be written first; None where no generator is configured.
    """

    pairs: dict[str, int] | None
    minutes: float
    chunks: int
    tokens: int
    estimated_seconds: float
    bytes: int
    generator: Writing | None = None


def foresee(store: Store, release: Release, config: LearningConfig, base: Path, pace: float) -> Retraining:
    """Add up what a retraining on top of a release would do; nothing is written.

    Args:
        store: The store.
        release: What it would start from.
        config: Budget, and who writes questions.
        base: Folder that a relative folder of a model starts from.
        pace: Seconds that embedding a token takes.
    """
    table = ChunkTable(store, release.chunks, release.tag)
    chunks = tokens = characters = 0
    for part in table.columns(["tokens", "start", "end"]):
        chunks, tokens = chunks + part.height, tokens + int(part["tokens"].sum())
        characters += int((part["end"] - part["start"]).sum())
    minutes = config.minutes * (2 if "cross" in config.rerankers else 1)
    return Retraining(
        pairs=_pairs(store, release),
        minutes=minutes,
        chunks=chunks,
        tokens=tokens,
        estimated_seconds=round(60 * minutes + pace * tokens, 1),
        bytes=chunks * table.dimension * BYTES[table.precision] + characters,
        generator=_writing(store, release, config, base),
    )


def _pairs(store: Store, release: Release) -> dict[str, int] | None:
    table, version = PairTable(store), release.tables["documents"]
    if table.fingerprint(version) is None:
        return None
    counts = table.counts(version)
    return {part: sum(n for (_, split), n in counts.items() if split == part) for part in ("train", "dev", "test")}


def _writing(store: Store, release: Release, config: LearningConfig, base: Path) -> Writing | None:
    """The generator's calls; its module, which brings an HTTP client along, is imported where one is configured."""
    if config.generator is None or "synthetic" not in config.pairs.kinds:
        return None
    from tasks.learn.synthesise import forecast

    found = forecast(store, release, config.generator, base)
    return Writing(config.generator.model, found.passages, found.tokens, found.price)
