"""Embed what no retained release and no unfinished run has embedded yet."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import polars as pl

from models.encoder import Encoder, EncoderFolder
from models.encoder import Progress as EncoderProgress
from models.probe import PROBE_TEXTS, compare, probe
from storage.hashing import digest
from storage.registry import Registry
from storage.tables.canaries import Canaries
from storage.tables.lookup import Bytes, Waiting, as_bytes, distinct, find_sorted
from storage.tables.vectors import EmbeddingCache, stage_vectors
from tasks.build.chunk import ChunkChanges
from tasks.build.reference import PROBE, confirm_reference, still_gives
from tasks.context import Context
from tasks.stage import stage

__all__ = ["Embedding", "Pending", "embed", "embed_ahead", "find_pending"]

# Texts between two durable writes: as many as the encoder does in ten seconds, which is what a kill costs at most.
DURABLE_EVERY = 10.0
SMALLEST, LARGEST = 64, 4_096


@dataclass(frozen=True)
class Pending:
    """What the upserts need and have.

    Attributes:
        missing: Hashes of the contents without a vector, sorted, each once.
        tokens: Tokens to embed.
        cache: Where the others have theirs; None where there is nothing to write.
    """

    missing: Bytes
    tokens: int
    cache: EmbeddingCache | None = None

    @property
    def contents(self) -> int:
        """Contents to embed."""
        return len(self.missing)


@dataclass(frozen=True)
class Embedding:
    """What was embedded.

    Attributes:
        embedded: Vectors computed now.
        tokens: Tokens in them.
    """

    embedded: int = 0
    tokens: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """Vectors and tokens."""
        return {"embedded": self.embedded, "tokens": self.tokens}


def find_pending(context: Context, encoder: EncoderFolder, changes: ChunkChanges) -> Pending:
    """Find out which contents have no vector in the space."""
    wanted, tokens = _contents(changes)
    if not len(wanted):  # most nights without news: a table for each kept release need not be opened
        return Pending(wanted, 0)
    cache = EmbeddingCache.of(
        context.store, encoder.space.id, precision=changes.precision, released=not context.rebuild
    )
    missing = ~cache.find(wanted)
    return Pending(wanted[missing], int(tokens[missing].sum()), cache)


def _contents(changes: ChunkChanges) -> tuple[Bytes, npt.NDArray[np.int32]]:
    """The hash of every content in the upserts, sorted, each once, and how many tokens it has."""
    hashes = distinct(part["hash"] for part in changes.upserts.slices(["hash"]))
    tokens = np.empty(len(hashes), np.int32)
    # Looked up in a second pass: to sort with their places holds a million hashes four times.
    for part in changes.upserts.slices(["hash", "tokens"]):
        tokens[find_sorted(hashes, as_bytes(part["hash"]))[0]] = part["tokens"].to_numpy()
    return hashes, tokens


@stage
def embed(context: Context, encoder: EncoderFolder, changes: ChunkChanges, pending: Pending) -> Embedding:
    """Embed the missing contents, each once, and keep every finished slice at once.

    A killed run loses at most the slice that it was at: the next run finds the others in the staging table.

    Raises:
        RuntimeError: The files of the encoder changed since the run began.
        ProbeMismatch: The same files give other vectors than they gave before.
    """
    registry = Registry(context.store)
    if not pending.contents and registry.has(encoder.space.id):
        return Embedding()
    opened = _opened(encoder)
    keep_encoder(context, registry, encoder, opened)
    return _embed(context, opened, changes, pending)


@stage
def embed_ahead(context: Context, encoder: EncoderFolder, changes: ChunkChanges, pending: Pending) -> Embedding:
    """Embed for a release that is still to come, beside the runs that write the store; it needs no lease.

    It only appends to the staging table of the space, where equal contents have equal vectors: whoever else does the
    same meanwhile costs time and harms nothing. A killed call loses at most the slice that it was at.

    Raises:
        RuntimeError: The files of the encoder changed since the run began.
        ProbeMismatch: The same files give other vectors than those that are staged.
    """
    if not pending.contents:
        return Embedding()
    opened = _opened(encoder)
    _confirm_staged(context, opened)
    return _embed(context, opened, changes, pending)


def _opened(encoder: EncoderFolder) -> Encoder:
    opened = encoder.open()
    # Chunks were cut, and the table was named, for the files as they were; vectors of others must not go in there.
    if opened.space.id != encoder.space.id:
        raise RuntimeError(f"the encoder {opened.space.name!r} changed while the run worked; start the run again")
    return opened


def _embed(context: Context, opened: Encoder, changes: ChunkChanges, pending: Pending) -> Embedding:
    total, space = pending.contents, opened.space.id
    if not total:
        return Embedding()
    waiting = Waiting(pending.missing)
    size = SMALLEST
    done = tokens = 0
    for part in changes.upserts.slices(["hash", "key", "text", "tokens"]):
        # A content may stand in many slices, and is embedded in the first: from then on it does not wait.
        fresh = part.unique("hash", keep="first", maintain_order=True)
        fresh = fresh.filter(waiting.take(fresh["hash"]))
        at = 0
        while at < fresh.height:
            texts = fresh.slice(at, size)
            at += texts.height
            began = time.perf_counter()
            report = partial(_report, context, done, total, tokens)
            vectors = opened.encode_documents(texts["text"].to_list(), report)
            seconds = time.perf_counter() - began
            stage_vectors(context.store, space, texts["hash"], texts["key"], vectors)
            context.workspace.touch()
            done += texts.height
            tokens += int(texts["tokens"].sum())
            context.progress.advance(done, total, "chunks", tokens)
            size = min(LARGEST, max(SMALLEST, int(texts.height / max(seconds, 1e-3) * DURABLE_EVERY)))
    return Embedding(done, tokens)


def keep_encoder(context: Context, registry: Registry, encoder: EncoderFolder, opened: Encoder) -> None:
    """Put the encoder and its probe beside the tables, or confirm that it still gives the vectors that it gave then.

    Where everything is embedded anew, vectors may be others than they were: then the probe is kept anew too.

    Args:
        context: The run.
        registry: The models of the store.
        encoder: The encoder's files.
        opened: The encoder itself.

    Raises:
        ProbeMismatch: The same files give other vectors now.
    """
    space = encoder.space.id
    anew = context.rebuild and (bool(registry.damage(space)) or not still_gives(context.store, opened))
    if registry.has(space) and not anew:
        confirm_reference(context.store, opened)
        return
    folder = context.workspace.folder / f"encoder-{space}"
    encoder.export(folder)  # before the drop: an encoder that was trained here lies nowhere else
    np.save(folder / PROBE, probe(opened), allow_pickle=False)
    Canaries(context.store).drop(space, unless=context.run)  # of vectors that are gone, or go now
    if anew:
        registry.drop(space)
    registry.keep(space, folder)


def _confirm_staged(context: Context, opened: Encoder) -> None:
    """Make sure that an earlier run that staged vectors of the space got those that the encoder gives now.

    The encoder itself is kept only under the lease; until then the probe lies among the staged vectors.
    """
    registry, space = Registry(context.store), opened.space
    if registry.has(space.id):
        confirm_reference(context.store, opened)
        return
    hashes = pl.Series([digest(text) for text in PROBE_TEXTS])
    now = opened.encode_documents(PROBE_TEXTS)
    cache = EmbeddingCache.of(context.store, space.id, released=False)
    if len(cache.locate(hashes)):
        stage_vectors(context.store, space.id, hashes, pl.Series([""] * len(hashes)), now)
    else:
        compare(cache.take(hashes), now, space)


def _report(context: Context, done: int, total: int, tokens: int, now: EncoderProgress) -> None:
    context.progress.advance(done + now.texts, total, "chunks", tokens + now.tokens)
