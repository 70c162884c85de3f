"""Write documents and chunks to the heads of their tables; readers stay on their pinned versions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from models.encoder import EncoderFolder
from models.memory import trimming
from storage.tables import chunks, documents
from storage.tables.chunks import ChunkTable
from storage.tables.documents import DocumentTable
from storage.tables.lookup import distinct, names
from storage.tables.origins import Origins
from storage.tables.shortlist import Shortlist
from storage.tables.vectors import EmbeddingCache
from tasks.build.chunk import ChunkChanges
from tasks.context import Context
from tasks.curate.deduplicate import DeduplicationResult
from tasks.curate.validate import ValidationResult
from tasks.ingest.plan import Plan
from tasks.ingest.read import Reading
from tasks.stage import stage
from tasks.work import Once

__all__ = ["Written", "write", "write_chunks"]

SLICE = 1_000  # rows handed to Lance at once: vectors of so many are no block that is mapped anew each time


@dataclass(frozen=True)
class Written:
    """The versions that now hold the next release's rows.

    Attributes:
        tables: Table name to version.
        rows: Table name to number of rows.
        origins: The files out of which vectors, texts and rows were copied.
    """

    tables: dict[str, int]
    rows: dict[str, int]
    origins: Origins

    @property
    def counts(self) -> dict[str, int]:
        """Rows a table."""
        return self.rows


@stage
def write(
    context: Context,
    encoder: EncoderFolder,
    plan: Plan,
    reading: Reading,
    validated: ValidationResult,
    deduplicated: Once[DeduplicationResult],
    changes: ChunkChanges,
    cache: EmbeddingCache | None = None,
) -> Written:
    """Bring both tables from the base release's state to the next one's.

    Args:
        context: The run.
        encoder: What embedded.
        plan: What the listing said.
        reading: What was read.
        validated: What was accepted.
        deduplicated: What each document will be; it is let go of before the documents are written.
        changes: The chunks that come and go.
        cache: Where the vectors are that were there before anything was embedded; looked for if None.
    """
    with trimming():
        origins = write_chunks(context, encoder, changes, cache)
        origins |= _write_documents(context, plan, reading, validated, deduplicated, changes)
    chunk_table, document_table = ChunkTable(context.store, changes.table), DocumentTable(context.store)
    return Written(
        {changes.table: chunk_table.version, documents.TABLE: document_table.version},
        {changes.table: chunk_table.rows, documents.TABLE: document_table.rows},
        origins,
    )


def _start(context: Context, table: str) -> int | None:
    """The version of a table that the run starts from; None to start from an empty table."""
    return None if context.base is None or context.rebuild else context.base.tables.get(table)


def write_chunks(
    context: Context, encoder: EncoderFolder, changes: ChunkChanges, cache: EmbeddingCache | None = None
) -> Origins:
    """Bring the chunk table of one encoder to the next release's state; a run with two encoders calls it for each.

    Returns:
        The files out of which it took vectors.
    """
    store, table, dimension = context.store, changes.table, encoder.space.dimension
    start = None if changes.rechunks_all else _start(context, table)
    chunks.reset(store, table, dimension, start, changes.precision)
    if not changes.rechunks_all:
        outdated = distinct(part["id"] for part in changes.outdated.slices())
        chunks.delete(store, table, ids=outdated, keys=changes.dropped)
    if not changes.upserts.rows:
        return Origins()
    cache = _located(context, encoder, changes, cache)
    chunks.append(store, table, dimension, _with_vectors(context, changes, cache), changes.precision)
    return cache.origins


def _located(
    context: Context, encoder: EncoderFolder, changes: ChunkChanges, cache: EmbeddingCache | None
) -> EmbeddingCache:
    store, space = context.store, encoder.space.id
    wanted = distinct(part["hash"] for part in changes.upserts.slices(["hash"]))
    if cache is None:
        cache = EmbeddingCache.of(store, space, precision=changes.precision, released=not context.rebuild)
        found = cache.find(wanted)
    else:
        found = cache.find_staged(store, space, wanted)
    if lacking := names(wanted[~found]):
        raise RuntimeError(f"{len(lacking)} contents have no vector after embedding, for example {lacking[0]}")
    return cache


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
    context: Context,
    plan: Plan,
    reading: Reading,
    validated: ValidationResult,
    deduplicated: Once[DeduplicationResult],
    changes: ChunkChanges,
) -> Origins:
    documents.reset(context.store, _start(context, documents.TABLE))
    ledger = context.ledger()
    result = deduplicated.take()
    facts = _facts(ledger, result, changes)
    accepted = validated.accepted.frame(["key"], {"key": pl.String})
    other = pl.col("was").ne_missing(pl.col("duplicate_of")) | (pl.col("had") != pl.col("n_chunks"))
    touched = pl.col("key").is_in(reading.touched["key"].implode())
    # Documents that stay with the text that they have and of which another column changes. Anti: the accepted ones are
    # written with their new text, and must not be written twice.
    kept = facts.filter(pl.col("had").is_not_null() & (other | touched)).join(accepted, on="key", how="anti")
    # Semi: of the accepted only those that the ledger has have an old row to delete.
    old = ledger.join(accepted, on="key", how="semi")["key"]
    # Everything that is written below is deleted here first, and besides only what is gone or unwanted: a stale
    # document is in none of the three, unless it takes another's place, and then it is among `kept`.
    gone = plan.gone["key"], result.refused["key"], old, kept["key"]
    documents.delete(context.store, distinct(gone))
    values = Shortlist(facts.select("key", "duplicate_of", "n_chunks"), "key")
    # Anti: what was cut now and not read now was cut from the text that the base release holds.
    cut = changes.cut().join(accepted, on="key", how="anti")["key"]
    del accepted, facts, ledger, old, gone, result  # a row for every document, beside what Lance takes to write them
    documents.append(context.store, _document_rows(context, reading, validated, kept["key"], values))
    return _held(context, pl.concat([kept["key"], cut]))


def _held(context: Context, keys: pl.Series) -> Origins:
    """Where the base release holds some documents; the ledger has the order of its table."""
    if context.base is None or context.rebuild or keys.is_empty():
        return Origins()
    at = context.ledger()["key"].is_in(keys.implode()).arg_true()
    return Origins.of(DocumentTable(context.store, context.base.tables[documents.TABLE]).dataset, at)


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
        .join(changes.cut(), on="key", how="left")
        .with_columns(sizes.cast(pl.Int32).alias("n_chunks"))
    )


def _document_rows(
    context: Context, reading: Reading, validated: ValidationResult, kept: pl.Series, values: Shortlist
) -> Iterator[pl.DataFrame]:
    for part in validated.accepted.slices():
        fresh = part.drop("cause").with_columns(pl.lit(context.run).alias("run"))
        # Inner, one to one: whatever is accepted is in the next release, and so among `values`.
        yield fresh.join(values.of(fresh["key"]), on="key", how="inner", maintain_order="left")
    if kept.is_empty() or context.base is None:
        return
    for held in DocumentTable(context.store, context.base.tables["documents"]).slices(rows=SLICE, keys=kept):
        # `update` is a left join: what was touched gets its new revision and time, the others keep theirs.
        rows = held.drop("duplicate_of", "n_chunks").update(reading.touched, on="key")
        yield rows.join(values.of(rows["key"]), on="key", how="inner", maintain_order="left")
