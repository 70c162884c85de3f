"""Make a shorter encoder out of the release's own, and map the vectors that there are: no text is encoded again."""

from __future__ import annotations

from dataclasses import dataclass

from models.compress import fit_svd, map_vectors
from models.compress import shorten as write_shorter
from models.encoder import EncoderFolder, Vectors, resolve
from models.errors import ModelError
from storage.tables.chunks import ChunkTable
from storage.tables.lookup import Waiting, distinct
from storage.tables.releases import Release
from storage.tables.vectors import EmbeddingCache, stage_vectors
from tasks.context import Context
from tasks.stage import stage

__all__ = ["Shortened", "shorten"]

SLICE = 4_096  # vectors mapped, and written durably, at once


@dataclass(frozen=True)
class Shortened:
    """What shortening came to.

    Attributes:
        encoder: The encoder that ends in the map; a space of its own.
        mapped: Vectors that were mapped now; those of a run that was killed are there already.
    """

    encoder: EncoderFolder
    mapped: int

    @property
    def counts(self) -> dict[str, int]:
        """Vectors that were mapped."""
        return {"mapped": self.mapped}


@stage
def shorten(context: Context, base: Release, encoder: EncoderFolder, dimension: int) -> Shortened:
    """Find the directions that hold most of the release's vectors, and map each vector to them.

    It needs no lease: it appends to the staging table of the new space, where the embedding finds what is there. The
    same release gives the same directions, so that a killed run goes on where it was.

    Args:
        context: The run.
        base: The release.
        encoder: Its encoder, as files.
        dimension: Length of the new vectors.

    Raises:
        ModelError: The encoder is a stub or cannot be appended to, or its vectors are no longer than that.
    """
    if encoder.folder is None or encoder.space.stub:
        raise ModelError(f"the encoder {encoder.space.name} is a stub, whose vectors cannot be shortened")
    chunks = ChunkTable(context.store, base.chunks, base.tag)
    matrix = fit_svd(chunks.vectors(), dimension)
    folder = context.workspace.folder / f"short-{dimension}"
    write_shorter(encoder.folder, matrix, folder)
    found = resolve(encoder.config.model_copy(update={"name": str(folder), "revision": None}))
    return Shortened(found, _map(context, chunks, found, matrix))


def _map(context: Context, chunks: ChunkTable, encoder: EncoderFolder, matrix: Vectors) -> int:
    """Stage the mapped vector of every content that has none in the space; returns how many."""
    space, done, total = encoder.space.id, 0, chunks.rows
    cache = EmbeddingCache.of(context.store, space)
    contents = distinct(part["hash"] for part in chunks.columns(["hash"]))
    left = Waiting(contents[~cache.find(contents)])
    for part in chunks.columns(["hash", "key", "vector"], rows=SLICE):
        # A content may stand in many slices, and is mapped in the first: from then on it is not left.
        fresh = part.unique("hash", keep="first", maintain_order=True)
        fresh = fresh.filter(left.take(fresh["hash"]))
        if fresh.height:
            stage_vectors(
                context.store, space, fresh["hash"], fresh["key"], map_vectors(fresh["vector"].to_numpy(), matrix)
            )
            context.workspace.touch()
        done += fresh.height
        context.progress.advance(done, total, "vectors")
    return done
