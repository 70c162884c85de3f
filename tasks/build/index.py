"""Index the vectors of a chunk table and keep the table compact."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field, replace
from math import sqrt
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from models.encoder import EncoderFolder
from storage.tables.roles import IndexFacts, chunks_table
from tasks.build.recall import Probes
from tasks.context import Context
from tasks.stage import stage

if TYPE_CHECKING:
    import lance

__all__ = ["IndexConfig", "Indexed", "coverage", "index", "tuned", "vector_index"]

logger = logging.getLogger(__name__)

NAME = "vector_idx"
FRAGMENTS = 32  # more small files than this slow every scan
DELETED = 0.25  # share of dead rows worth a rewrite
ATTEMPTS = 5
EFFORTS = (1, 2, 4, 8)
SAMPLED = 32  # vectors a cell that training holds at once


class IndexConfig(BaseModel):
    """The search index and what it must reach: section `[index]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_rows: int = Field(
        default=10_000, ge=256, description="Chunks below which every search is exact, without an index."
    )
    nprobes: int = Field(default=80, ge=1, description="Cells of the index that a search looks into.")
    refine_factor: int = Field(
        default=10,
        ge=1,
        description="Candidates, as a multiple of k, that a search compares again with their full vectors.",
    )
    recall_floor: float = Field(
        default=0.9, ge=0, le=1, description="Recall@10 against exact search below which the audit refuses a release."
    )
    probe_queries: int = Field(default=20, ge=1, description="Queries with which the audit measures that recall.")


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


def vector_index(table: lance.LanceDataset) -> dict[str, Any] | None:
    """Statistics of the vector index: None when there is none."""
    if not any(found.name == NAME for found in table.describe_indices()):
        return None
    return dict(table.stats.index_stats(NAME))


def coverage(table: lance.LanceDataset) -> float | None:
    """Share of rows that the vector index holds; None when there is no index."""
    stats = vector_index(table)
    if stats is None:
        return None
    total = stats["num_indexed_rows"] + stats["num_unindexed_rows"]
    return 1.0 if not total else float(stats["num_indexed_rows"] / total)


def partitions(rows: int) -> int:
    """Cells of the index: half the root of the rows, so that 80 probes look into half of them at 100,000."""
    return max(1, round(sqrt(rows) / 2))


def tuned(table: lance.LanceDataset, config: IndexConfig) -> IndexFacts:
    """How to search a table: the configured effort, doubled until the index finds what it must.

    How many candidates must be compared again depends on the data. Where eight times as many do not reach
    `index.recall_floor`, the release is searched exactly: slower, and right.
    """
    rows = table.count_rows()
    stats = vector_index(table)
    facts = IndexFacts("exact", rows, config.nprobes, config.refine_factor)
    if stats is None or rows < config.min_rows:
        return facts
    facts = replace(facts, kind="IVF_RQ", partitions=int(stats["indices"][0]["num_partitions"]))
    probes = Probes.of(table, config.probe_queries)
    for effort in EFFORTS:
        facts = replace(facts, nprobes=config.nprobes * effort, refine_factor=config.refine_factor * effort)
        found = probes.recall(table, facts)
        if found >= config.recall_floor:
            return facts
    logger.warning(
        "the index finds %.3f of the nearest neighbours, below index.recall_floor %.3f: search will be exact",
        found,
        config.recall_floor,
    )
    return replace(facts, kind="exact", recall_of_index=found)


@stage
def index(context: Context, encoder: EncoderFolder, config: IndexConfig, tables: dict[str, int]) -> Indexed:
    """Build the index, extend it by the night's rows, or leave a small table to exact search."""
    chunks = chunks_table(encoder.space.id)
    table = context.store.open(chunks)
    rows = table.count_rows()
    stats = vector_index(table)
    if rows >= config.min_rows:
        cells = partitions(rows)
        old = 0 if stats is None else int(stats["indices"][0]["num_partitions"])
        if cells > 2 * old:  # new, or grown fourfold since it was trained
            table.create_index(
                "vector",
                "IVF_RQ",
                name=NAME,
                metric="cosine",
                num_partitions=cells,
                num_bits=1,
                streaming_sample_rate=SAMPLED,
                replace=True,
            )
        elif stats is not None and stats["num_unindexed_rows"]:
            # Never Table.optimize(): it raises once a tagged version is a week old, and skips this step.
            table.optimize.optimize_indices(num_indices_to_merge=1)
    for name in (chunks, "documents"):
        _compact(context, name)
    heads = {name: context.store.open(name) for name in tables}
    facts = tuned(heads[chunks], config)
    return Indexed(facts, {name: head.version for name, head in heads.items()}, {"rows": rows})


def _compact(context: Context, name: str) -> None:
    """Merge small files once there are many, and drop dead rows once they are many: not every night."""
    for attempt in range(ATTEMPTS):
        table = context.store.open(name)
        fragments = table.get_fragments()
        dead = sum(fragment.num_deletions for fragment in fragments)
        rows = table.count_rows()
        if len(fragments) <= FRAGMENTS and dead <= DELETED * (rows + dead):
            return
        try:
            table.optimize.compact_files()
            return
        except OSError as error:
            if "conflict" not in str(error).lower() or attempt == ATTEMPTS - 1:
                raise
            time.sleep(0.1 * 2**attempt)
