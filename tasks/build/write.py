"""Write documents and chunks to the heads of their tables; readers stay on their pinned versions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa

from storage.tables.columns import DOCUMENTS, chunks_schema
from storage.tables.store import filter_in, stream
from storage.tables.vectors import EmbeddingCache
from tasks.build.chunk import ChunkChanges
from tasks.context import Context
from tasks.curate.deduplicate import DeduplicationResult
from tasks.curate.validate import ValidationResult
from tasks.ingest.plan import Plan
from tasks.ingest.read import Reading
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
    plan: Plan,
    reading: Reading,
    validated: ValidationResult,
    deduplicated: DeduplicationResult,
    changes: ChunkChanges,
) -> Written:
    """Bring both tables from the base release's state to the next one's."""
    _write_chunks(context, changes)
    _write_documents(context, plan, reading, validated, deduplicated, changes)
    heads = {name: context.store.open(name) for name in (context.table, "documents")}
    return Written(
        {name: head.version for name, head in heads.items()}, {name: head.count_rows() for name, head in heads.items()}
    )


def _reset(context: Context, table: str, schema: pa.Schema) -> None:
    """Take a table back to where the run starts from: what a killed or refused run wrote is forgotten."""
    context.store.ensure(table, schema)
    base = context.base.tables.get(table) if context.base is not None else None
    if base is not None and not context.afresh:
        context.store.restore(table, base)
    elif context.store.open(table).count_rows():
        context.store.open(table).delete("true")


def _write_chunks(context: Context, changes: ChunkChanges) -> None:
    schema = chunks_schema(context.space.dimension)
    _reset(context, context.table, schema)
    if context.rebuilds:
        if context.store.open(context.table).count_rows():
            context.store.open(context.table).delete("true")
    else:
        for part in changes.outdated.slices():
            context.store.delete_keys(context.table, "id", part["id"])
        context.store.delete_keys(context.table, "key", changes.dropped)
    if not changes.upserts.rows:
        return
    cache = EmbeddingCache.of(context.store, context.space.id, released=not context.afresh)
    lacking = cache.locate(changes.upserts.frame(["hash"], {"hash": pl.String})["hash"])
    if len(lacking):
        raise RuntimeError(f"{len(lacking)} chunks have no vector after embedding, for example {lacking[0]}")
    context.store.append(context.table, schema, _with_vectors(context, changes, cache, schema))


def _with_vectors(
    context: Context, changes: ChunkChanges, cache: EmbeddingCache, schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    done = 0
    for part in changes.upserts.slices():
        for rows in part.iter_slices(SLICE):
            vectors = cache.take(rows["hash"])
            flat = pa.array(np.ascontiguousarray(vectors).ravel())
            column = pa.FixedSizeListArray.from_arrays(flat, context.space.dimension)
            plain = [rows[name].to_arrow().cast(schema.field(name).type) for name in schema.names[:-1]]
            yield pa.RecordBatch.from_arrays([*plain, column], schema=schema)
            done += rows.height
            context.progress.advance(done, changes.upserts.rows, "chunks")


def _write_documents(
    context: Context,
    plan: Plan,
    reading: Reading,
    validated: ValidationResult,
    deduplicated: DeduplicationResult,
    changes: ChunkChanges,
) -> None:
    _reset(context, "documents", DOCUMENTS)
    ledger = context.ledger()
    facts = _facts(ledger, deduplicated, changes)
    accepted = validated.accepted.frame(["key"], {"key": pl.String})
    other = pl.col("was").ne_missing(pl.col("duplicate_of")) | (pl.col("had") != pl.col("n_chunks"))
    touched = pl.col("key").is_in(reading.touched["key"].implode())
    # Documents that stay with the text that they have and of which another column changes. Anti: the accepted ones are
    # written with their new text, and must not be written twice.
    kept = facts.filter(pl.col("had").is_not_null() & (other | touched)).join(accepted, on="key", how="anti")
    gone = [*plan.gone["key"], *deduplicated.refused["key"]]
    # Semi: of the accepted only those that the ledger has have an old row to delete.
    old = ledger.join(accepted, on="key", how="semi")["key"]
    # Everything that is written below is deleted here first, and besides only what is gone or unwanted: a stale document
    # is in none of the three, unless it takes another's place, and then it is among `kept`.
    context.store.delete_keys("documents", "key", [*gone, *old, *kept["key"]])
    values = facts.select("key", "duplicate_of", "n_chunks")
    rows = _document_rows(context, reading, validated, kept.select("key"), values)
    context.store.append("documents", DOCUMENTS, rows)


def _facts(ledger: pl.DataFrame, deduplicated: DeduplicationResult, changes: ChunkChanges) -> pl.DataFrame:
    """Say of every document of the next release what it duplicates and how many chunks it has, now and before.

    Both joins are left joins from what the release will hold: the ledger lacks what is new (`had` and `was` are null),
    and `sizes` lacks what was not cut, which keeps the chunks that it had.
    """
    before = ledger.select("key", pl.col("duplicate_of").alias("was"), pl.col("n_chunks").alias("had"))
    sizes = pl.when(pl.col("duplicate_of").is_not_null()).then(0).otherwise(pl.coalesce("n_chunks", "had"))
    return (
        deduplicated.after.select("key", "duplicate_of")
        .join(before, on="key", how="left")
        .join(changes.sizes, on="key", how="left")
        .with_columns(sizes.cast(pl.Int32).alias("n_chunks"))
    )


def _document_rows(
    context: Context, reading: Reading, validated: ValidationResult, kept: pl.DataFrame, values: pl.DataFrame
) -> Iterator[pa.RecordBatch]:
    for part in validated.accepted.slices():
        fresh = part.drop("cause").with_columns(pl.lit(context.run).alias("run"))
        # Inner, one to one: whatever is accepted is in the next release, and so among `values`.
        yield from _batches(fresh.join(values, on="key", how="inner", maintain_order="left"))
    if kept.is_empty() or context.base is None:
        return
    table = context.store.open("documents", context.base.tables["documents"])
    where = filter_in("key", kept["key"]) if kept.height <= SLICE else None
    for batch in stream(table, rows=SLICE, where=where):
        # Semi: without a filter the whole table comes by, of which only `kept` was deleted above.
        rows = pl.DataFrame(pl.from_arrow(batch)).join(kept, on="key", how="semi", maintain_order="left")
        # `update` is a left join: what was touched gets its new revision and time, the others keep theirs.
        rows = rows.drop("duplicate_of", "n_chunks").update(reading.touched, on="key")
        yield from _batches(rows.join(values, on="key", how="inner", maintain_order="left"))


def _batches(frame: pl.DataFrame) -> Iterable[pa.RecordBatch]:
    return frame.select(DOCUMENTS.names).to_arrow().cast(DOCUMENTS).to_batches()
