"""Write documents and chunks to the heads of their tables; readers stay on their pinned versions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from models.encoder import EncoderFolder
from storage.tables import chunks, documents
from storage.tables.chunks import ChunkTable
from storage.tables.documents import DocumentTable
from storage.tables.vectors import EmbeddingCache
from tasks.build.chunk import ChunkChanges
from tasks.context import Context
from tasks.curate.deduplicate import DeduplicationResult
from tasks.curate.validate import ValidationResult
from tasks.ingest.plan import Plan
from tasks.stage import stage

__all__ = ["Written", "write"]

SLICE = 4_096  # rows handed to Lance at once


@dataclass(frozen=True)
class Written:
    """The versions that now hold the next release's rows.

    Attributes:
        tables: Table name to version.
        rows: Table name to number of rows.
    """

    tables: dict[str, int]
    rows: dict[str, int]

    @property
    def counts(self) -> dict[str, int]:
        """Rows a table."""
        return self.rows


@stage
def write(
    context: Context,
    encoder: EncoderFolder,
    plan: Plan,
    validated: ValidationResult,
    deduplicated: DeduplicationResult,
    changes: ChunkChanges,
) -> Written:
    """Bring both tables from the base release's state to the next one's."""
    _write_chunks(context, encoder, changes)
    _write_documents(context, plan, validated, deduplicated, changes)
    chunk_table, document_table = ChunkTable(context.store, changes.table), DocumentTable(context.store)
    return Written(
        {changes.table: chunk_table.version, documents.TABLE: document_table.version},
        {changes.table: chunk_table.rows, documents.TABLE: document_table.rows},
    )


def _start(context: Context, table: str) -> int | None:
    """The version of a table that the run starts from; None to start from an empty table."""
    return None if context.base is None or context.rebuild else context.base.tables.get(table)


def _write_chunks(context: Context, encoder: EncoderFolder, changes: ChunkChanges) -> None:
    store, table, dimension = context.store, changes.table, encoder.space.dimension
    chunks.reset(store, table, dimension, _start(context, table))
    if changes.rechunks_all:
        chunks.clear(store, table)
    else:
        for part in changes.outdated.slices():
            chunks.delete(store, table, ids=part["id"])
        chunks.delete(store, table, keys=changes.dropped)
    if not changes.upserts.rows:
        return
    cache = EmbeddingCache.of(store, encoder.space.id, released=not context.rebuild)
    lacking = cache.locate(changes.upserts.frame(["hash"], {"hash": pl.String})["hash"])
    if len(lacking):
        raise RuntimeError(f"{len(lacking)} chunks have no vector after embedding, for example {lacking[0]}")
    chunks.append(store, table, dimension, _with_vectors(context, changes, cache))


def _with_vectors(
    context: Context, changes: ChunkChanges, cache: EmbeddingCache
) -> Iterator[tuple[pl.DataFrame, np.ndarray]]:
    done = 0
    for part in changes.upserts.slices():
        for rows in part.iter_slices(SLICE):
            yield rows, cache.take(rows["hash"])
            done += rows.height
            context.progress.advance(done, changes.upserts.rows, "chunks")


def _write_documents(
    context: Context, plan: Plan, validated: ValidationResult, deduplicated: DeduplicationResult, changes: ChunkChanges
) -> None:
    documents.reset(context.store, _start(context, documents.TABLE))
    ledger = context.ledger()
    facts = (
        deduplicated.after.select("key", "duplicate_of")
        .join(
            ledger.select("key", pl.col("duplicate_of").alias("was"), pl.col("n_chunks").alias("had")),
            on="key",
            how="left",
        )
        .join(changes.sizes, on="key", how="left")
        .with_columns(
            pl.when(pl.col("duplicate_of").is_not_null())
            .then(0)
            .otherwise(pl.coalesce("n_chunks", "had"))
            .cast(pl.Int32)
            .alias("n_chunks")
        )
    )
    accepted = validated.accepted.frame(["key"], {"key": pl.String})
    moved_on = pl.col("was").ne_missing(pl.col("duplicate_of")) | (pl.col("had") != pl.col("n_chunks"))
    touched = pl.col("key").is_in(validated.touched["key"].implode())
    stale = facts.filter(pl.col("had").is_not_null() & (moved_on | touched)).join(accepted, on="key", how="anti")
    gone = [*plan.gone["key"], *deduplicated.refused]
    old = ledger.join(accepted, on="key", how="semi")["key"]
    documents.delete(context.store, [*gone, *old, *stale["key"]])
    values = facts.select("key", "duplicate_of", "n_chunks")
    documents.append(context.store, _document_rows(context, validated, stale["key"], values))


def _document_rows(
    context: Context, validated: ValidationResult, stale: pl.Series, values: pl.DataFrame
) -> Iterator[pl.DataFrame]:
    for part in validated.accepted.slices():
        fresh = part.drop("cause").with_columns(pl.lit(context.run).alias("run"), pl.lit(None, pl.String).alias("blob"))
        yield fresh.join(values, on="key", how="inner", maintain_order="left")
    if stale.is_empty() or context.base is None:
        return
    for held in DocumentTable(context.store, context.base.tables["documents"]).slices(rows=SLICE, keys=stale):
        kept = held.drop("duplicate_of", "n_chunks").update(validated.touched, on="key")
        yield kept.join(values, on="key", how="inner", maintain_order="left")
