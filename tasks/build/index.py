"""Index the vectors and the words of a chunk table and keep the table compact."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from models.encoder import EncoderFolder
from models.memory import trim_memory, trimming
from storage.tables.chunks import ChunkTable
from storage.tables.documents import TABLE, DocumentTable
from storage.tables.index import KINDS, build, compact, extend, partitions, statistics
from storage.tables.releases import Release
from storage.tables.roles import IndexFacts, chunks_table
from storage.tables.store import Store
from storage.tables.words import build_text, drop_text, extend_text, text_statistics
from tasks.build.centres import centres
from tasks.build.config import IndexConfig
from tasks.build.recall import Probes
from tasks.context import Context
from tasks.stage import stage

__all__ = ["NIGHTS", "IndexConfig", "Indexed", "index", "index_words", "merged", "reindexes", "taken_over", "tuned"]

logger = logging.getLogger(__name__)

FRAGMENTS = 32  # more small files than this slow every scan
DELETED = 0.25  # share of dead rows worth a rewrite
NIGHTS = 7  # releases of which one is measured against every row
CHANGED = 0.1  # share of the rows that may come and go before that
PARTS = 8  # of an index: a search looks into each
GROWTH = 2  # a part becomes one with newer ones that are at least so many times smaller together
EFFORTS = (1, 2, 4, 8)
TRIM = 0.1  # seconds: of a quarter of a minute Lance takes most in the last half second


@dataclass(frozen=True)
class Indexed:
    """How the table is searched.

    Attributes:
        facts: How it is searched.
        tables: Table name to the version after indexing.
    """

    facts: IndexFacts
    tables: dict[str, int]
    counts: dict[str, int] = field(default_factory=dict)


def tuned(chunks: ChunkTable, config: IndexConfig) -> IndexFacts:
    """How to search a table: the configured effort, doubled until the index finds what it must.

    How many candidates must be compared again depends on the data. Where eight times as many do not reach
    `index.recall_floor`, the release is searched exactly: slower, and right.
    """
    rows = chunks.rows
    stats = statistics(chunks)
    facts = IndexFacts(
        "exact", rows, config.nprobes, config.refine_factor, precision=chunks.precision, asked=config.kind
    )
    if stats is None or rows < config.min_rows:
        return facts
    facts = replace(facts, kind=stats.kind, partitions=stats.partitions)
    probes = Probes.of(chunks, config.probe_queries)
    for effort in EFFORTS:
        facts = replace(facts, nprobes=config.nprobes * effort, refine_factor=config.refine_factor * effort)
        found = probes.recall(chunks, facts)
        if found >= config.recall_floor:
            return facts
    logger.warning(
        "the index finds %.3f of the nearest neighbours, below index.recall_floor %.3f: search will be exact",
        found,
        config.recall_floor,
    )
    return replace(facts, kind="exact", recall_of_index=found)


def taken_over(known: IndexFacts, config: IndexConfig, rows: int, written: int) -> IndexFacts | None:
    """How a release searches an index that was measured for an earlier one; None where it must be measured again.

    To measure compares some rows with all. Few rows that come into an index, or leave it, hardly change what it finds,
    so that is done for one of NIGHTS releases, and wherever the index itself is another.

    Args:
        known: How the base release searches.
        config: What is configured.
        rows: Rows of the table now.
        written: Those of them that were not in the index.
    """
    gone = max(0, known.rows + written - rows)
    nights, changed = (known.nights or 0) + 1, (known.changed or 0) + written + gone
    efforts = [(config.nprobes * effort, config.refine_factor * effort) for effort in EFFORTS]
    if known.approximate:
        found = known.recall is not None and known.recall >= config.recall_floor
    else:  # an index that was given up is not tried again every night
        found = known.recall_of_index is not None and known.recall_of_index < config.recall_floor
    same = known.asked == config.kind and (known.nprobes, known.refine_factor) in efforts
    few = nights < NIGHTS and changed <= CHANGED * rows
    return replace(known, rows=rows, nights=nights, changed=changed) if found and same and few else None


def reindexes(base: Release | None, config: IndexConfig) -> bool:
    """Whether a release has, or was too coarse for, an index of another kind than the configuration names."""
    if base is None:
        return False
    return base.text.index.asked != config.kind and base.text.index.rows >= config.min_rows


def merged(parts: Sequence[int], new: int) -> int:
    """How many of the newest parts of an index become one with a night's rows.

    Parts grow as those of a log-structured merge tree (O'Neil et al., 1996) do: one is written again only once what is
    newer is half of it. So a row is written again as often as the logarithm of the nights, not every night.

    Args:
        parts: Rows of each part, the oldest first.
        new: Rows of the night.
    """
    count, size = 0, new
    while count < len(parts) and (parts[-1 - count] <= GROWTH * size or len(parts) - count >= PARTS):
        size += parts[-1 - count]
        count += 1
    return count


def index_words(store: Store, table: str, config: IndexConfig) -> str | None:
    """Build the full-text index of a table, extend it by the night's rows, or leave it out where it is not wanted.

    It is built anew where its tokenizer is another, or where so many of its texts are gone that it weighs words by
    what is not there any more. Else a night costs its own rows, and now and then a merge.

    Returns:
        Its tokenizer; None where it is not wanted.
    """
    chunks = ChunkTable(store, table)
    stats = text_statistics(chunks)
    if not config.text:
        if stats is not None:
            drop_text(store, table)
        return None
    if chunks.rows and (stats is None or stats.tokenizer != config.tokenizer or stats.dead > DELETED):
        with trimming():
            build_text(store, table, config.tokenizer)
    elif stats is not None and stats.unindexed:
        extend_text(store, table, stats.tokenizer, merge=merged(stats.sizes, stats.unindexed))
    return config.tokenizer


@stage
def index(context: Context, encoder: EncoderFolder, config: IndexConfig, tables: dict[str, int]) -> Indexed:
    """Build the indexes, extend them by the night's rows, or leave a small table to exact search."""
    # A table of mapped vectors has a name of its own.
    own = (name for name in tables if name.startswith(chunks_table(encoder.space.id)))
    table = next(own, chunks_table(encoder.space.id, config.precision))
    chunks = ChunkTable(context.store, table)
    rows, stats = chunks.rows, statistics(chunks)
    known: IndexFacts | None = None
    if rows >= config.min_rows:
        cells = partitions(rows)
        # New, of another kind, full of rows that are gone, or grown fourfold since it was trained.
        if stats is None or stats.kind != KINDS[config.kind] or stats.dead > DELETED or cells > 2 * stats.partitions:
            found = centres(chunks, cells)
            trim_memory()  # of the vectors that were looked at, before Lance reads them all
            if len(found):  # of vectors that are all broken there are none: the audit refuses them
                with trimming(TRIM):
                    build(context.store, table, found, config.kind)
        else:
            base = context.base
            # What no digests prove is measured by the audit in any case.
            if base is not None and base.digests and base.chunks == table and not context.rebuild:
                known = taken_over(base.text.index, config, rows, stats.unindexed)
            if stats.unindexed:
                extend(context.store, table, merge=merged(stats.parts, stats.unindexed))
    words = index_words(context.store, table, config)
    for name in (table, TABLE):  # not every night: a rewrite costs more than a few small files
        compact(context.store, name, fragments=FRAGMENTS, dead=DELETED)
    trim_memory()  # what Lance lets go of once its calls have returned
    chunks = ChunkTable(context.store, table)
    versions = {table: chunks.version, TABLE: DocumentTable(context.store).version}
    return Indexed(replace(known or tuned(chunks, config), text=words), versions, {"rows": rows})
