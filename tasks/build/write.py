"""Write documents and chunks to the heads of their tables; readers stay on their pinned versions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa

from models.encoder import EncoderFolder
from storage.tables.columns import DOCUMENTS, chunks_schema
from storage.tables.store import filter_in, stream
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
    heads = {name: context.store.open(name) for name in (changes.table, "documents")}
    return Written(
        {name: head.version for name, head in heads.items()}, {name: head.count_rows() for name, head in heads.items()}
    )


def _reset(context: Context, table: str, schema: pa.Schema) -> None:
    """Take a table back to where the run starts from: what a killed or refused run wrote is forgotten."""
    context.store.ensure(table, schema)
    base = context.base.tables.get(table) if context.base is not None else None
    if base is not None and not context.rebuild:
        context.store.restore(table, base)
    elif context.store.open(table).count_rows():
        context.store.open(table).delete("true")


def _write_chunks(context: Context, encoder: EncoderFolder, changes: ChunkChanges) -> None:
    schema = chunks_schema(encoder.space.dimension)
    _reset(context, changes.table, schema)
    if changes.rechunks_all:
        if context.store.open(changes.table).count_rows():
            context.store.open(changes.table).delete("true")
    else:
        for part in changes.outdated.slices():
            context.store.delete_keys(changes.table, "id", part["id"])
        context.store.delete_keys(changes.table, "key", changes.dropped)
    if not changes.upserts.rows:
        return
    cache = EmbeddingCache.of(context.store, encoder.space.id, released=not context.rebuild)
    lacking = cache.locate(changes.upserts.frame(["hash"], {"hash": pl.String})["hash"])
    if len(lacking):
        raise RuntimeError(f"{len(lacking)} chunks have no vector after embedding, for example {lacking[0]}")
    context.store.append(changes.table, schema, _with_vectors(context, changes, cache, schema))


def _with_vectors(
    context: Context, changes: ChunkChanges, cache: EmbeddingCache, schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    done = 0
    for part in changes.upserts.slices():
        for rows in part.iter_slices(SLICE):
            vectors = cache.take(rows["hash"])
            flat = pa.array(np.ascontiguousarray(vectors).ravel())
            column = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
            plain = [rows[name].to_arrow().cast(schema.field(name).type) for name in schema.names[:-1]]
            yield pa.RecordBatch.from_arrays([*plain, column], schema=schema)
            done += rows.height
            context.progress.advance(done, changes.upserts.rows, "chunks")


def _write_documents(
    context: Context, plan: Plan, validated: ValidationResult, deduplicated: DeduplicationResult, changes: ChunkChanges
) -> None:
    _reset(context, "documents", DOCUMENTS)
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
    context.store.delete_keys("documents", "key", [*gone, *old, *stale["key"]])
    values = facts.select("key", "duplicate_of", "n_chunks")
    rows = _document_rows(context, validated, stale.select("key"), values)
    context.store.append("documents", DOCUMENTS, rows)


def _document_rows(
    context: Context, validated: ValidationResult, stale: pl.DataFrame, values: pl.DataFrame
) -> Iterator[pa.RecordBatch]:
    for part in validated.accepted.slices():
        fresh = part.drop("cause").with_columns(pl.lit(context.run).alias("run"))
        yield from _batches(fresh.join(values, on="key", how="inner", maintain_order="left"))
    if stale.is_empty() or context.base is None:
        return
    table = context.store.open("documents", context.base.tables["documents"])
    where = filter_in("key", stale["key"]) if stale.height <= SLICE else None
    for batch in stream(table, rows=SLICE, where=where):
        kept = pl.DataFrame(pl.from_arrow(batch)).join(stale, on="key", how="semi", maintain_order="left")
        kept = kept.drop("duplicate_of", "n_chunks").update(validated.touched, on="key")
        yield from _batches(kept.join(values, on="key", how="inner", maintain_order="left"))


def _batches(frame: pl.DataFrame) -> Iterable[pa.RecordBatch]:
    return frame.select(DOCUMENTS.names).to_arrow().cast(DOCUMENTS).to_batches()
