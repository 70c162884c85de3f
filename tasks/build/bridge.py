"""Bring a release into another space without encoding it: fit one matrix on a sample, and map every vector."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from models.bridge import LEAST, Bridge, fit
from models.encoder import EncoderFolder
from storage.errors import InputError
from storage.tables import chunks, documents
from storage.tables.chunks import ChunkTable
from storage.tables.documents import DocumentTable
from storage.tables.releases import Release
from storage.tables.roles import Precision, bridged_table
from storage.tables.vectors import EmbeddingCache
from tasks.build.chunk import ROWS, ChunkChanges
from tasks.build.embed import embed_ahead, find_pending
from tasks.context import Context
from tasks.progress import Progress
from tasks.stage import stage

__all__ = ["Fitted", "fit_bridge", "map_chunks"]

SAMPLE = 5_000  # contents that both encoders embed: several times as many as vectors have numbers
SLICE = 4_096  # vectors mapped at once


@dataclass(frozen=True)
class Fitted:
    """A bridge, and what it was fitted on.

    Attributes:
        bridge: The matrix, and how well it keeps neighbours.
        sample: The contents that were embedded for it, as changes without a table; they are staged.
        embedded: How many of them were embedded now; those of a run that was killed are there already.
    """

    bridge: Bridge
    sample: ChunkChanges
    embedded: int

    @property
    def counts(self) -> dict[str, int]:
        """Pairs of vectors, and how many were embedded for them."""
        return {"pairs": self.bridge.rows, "embedded": self.embedded}


@stage
def fit_bridge(context: Context, base: Release, encoder: EncoderFolder, seed: int = 0) -> Fitted:
    """Embed a sample of the release's contents with another encoder, and fit the matrix from their vectors to its own.

    It needs no lease: it appends to the staging table of the new space. The same release gives the same sample, so that
    a killed run goes on where it was, and the re-embedding that follows takes these vectors over.

    Args:
        context: The run.
        base: The release.
        encoder: The other encoder.
        seed: Of the sample.

    Raises:
        InputError: The release holds too few contents to fit a matrix on.
    """
    table = ChunkTable(context.store, base.chunks, base.tag)
    order = np.random.default_rng(seed).permutation(table.rows)[:SAMPLE]
    rows, vectors = table.sample(np.sort(order).tolist(), [*ROWS])
    sample = rows.with_columns(pl.Series("vector", vectors)).unique("hash", keep="first", maintain_order=True)
    if sample.height < LEAST:
        raise InputError(
            f"reembed --bridge: release {base.seq} holds {sample.height} contents, and a matrix wants {LEAST} or more; "
            "leave --bridge away: so few are embedded at once"
        )
    spill = context.workspace.spill(f"sample-{encoder.space.id}")
    spill.append(sample.select(list(ROWS)))
    nothing = context.workspace.spill(f"nothing-{encoder.space.id}")
    changes = ChunkChanges("", "", False, spill, nothing, pl.Series(dtype=pl.String), nothing)
    embedded = embed_ahead(context, encoder, changes, find_pending(context, encoder, changes)).embedded
    cache = EmbeddingCache.of(context.store, encoder.space.id)
    cache.locate(sample["hash"])
    return Fitted(fit(sample["vector"].to_numpy(), cache.take(sample["hash"]), seed=seed), changes, embedded)


@stage
def map_chunks(
    context: Context, base: Release, encoder: EncoderFolder, bridge: Bridge, precision: Precision
) -> dict[str, int]:
    """Write the release's chunks with mapped vectors to a table of the new space; the run holds the lease.

    The table has a name of its own: whoever looks for vectors of the space never takes a mapped one for its own.

    Args:
        context: The run.
        base: The release.
        encoder: The encoder of the new space.
        bridge: The matrix.
        precision: In what the table keeps vectors.

    Returns:
        Table name to version.
    """
    store, table, dimension = context.store, bridged_table(encoder.space.id, precision), encoder.space.dimension
    held = ChunkTable(store, base.chunks, base.tag)
    chunks.reset(store, table, dimension, None, precision)
    chunks.append(store, table, dimension, _mapped(held, bridge, context.progress), precision)
    documents.reset(store, base.tables["documents"])
    return {
        table: ChunkTable(store, table).version,
        documents.TABLE: DocumentTable(store).version,
    }


def _mapped(
    held: ChunkTable, bridge: Bridge, progress: Progress
) -> Iterator[tuple[pl.DataFrame, npt.NDArray[np.float32]]]:
    done, total = 0, held.rows
    for part in held.columns([*ROWS, "vector"], rows=SLICE):
        yield part.select(list(ROWS)), bridge.apply(part["vector"].to_numpy())
        done += part.height
        progress.advance(done, total, "vectors")
