"""Hold vectors of fewer bits against whole ones, compared exactly: what a search loses, and what it saves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from models.encoder import EncoderFolder
from models.statistics import Paired, paired
from models.vectors import unit
from storage.outcome import Outcome
from storage.tables.chunks import ChunkTable
from storage.tables.index import BYTES, nearest, statistics
from storage.tables.roles import IndexFacts, Role
from storage.tables.vectors import EmbeddingCache
from storage.tables.whole import WholeChunks
from tasks.build.index import IndexConfig
from tasks.context import Context
from tasks.learn.config import QualityConfig
from tasks.learn.evaluate import Measured, measure
from tasks.learn.questions import QuestionSet
from tasks.learn.subject import Subject
from tasks.search.exact import nearest_exact
from tasks.stage import stage
from tasks.verdict import Verdict

__all__ = ["Smaller", "changed", "judge_smaller"]

K = 10  # neighbours of a probe
DEEPER = 5  # times as many are looked at exactly, so that a neighbour as near as the last one is no miss
TOLERANCE = 1e-5  # of a similarity: what the sums of 32 bits leave open
TIMED = 25  # searches that are timed: the median of so many is steady


@dataclass(frozen=True)
class Smaller:
    """Vectors of fewer bits, judged.

    Attributes:
        name: Precision and index, as the configuration calls them.
        against: What they are compared with: the whole vectors, or the stored ones where those are not kept.
        bytes: Of a vector, in the table and in the index, before and after.
        milliseconds: Of a search, the question encoded already: compared with every row, and as readers will search.
        limit: `quality.max_compression_loss`, or `index.recall_floor` where no question judges.
        change: Of nDCG@10, question by question; None without judged questions.
        recall: Share of the ten nearest whole vectors that a search finds; None where questions judge.
        given_up: What the index found that was given up; None for one that serves, or without one.
    """

    name: str
    against: str
    bytes: tuple[float, float]
    milliseconds: tuple[float, float]
    limit: float
    change: Paired | None = None
    recall: float | None = None
    given_up: float | None = None

    @property
    def holds(self) -> bool:
        """Whether they surely lose no more than is allowed."""
        if self.given_up is not None:
            return False
        if self.change is not None:
            return self.change.low >= -self.limit
        return (self.recall or 0.0) >= self.limit

    @property
    def message(self) -> str:
        """The figures in one line, and the bar that was missed."""
        (was, now), (exact, search) = self.bytes, self.milliseconds
        told = (
            f"{self.name}: {now:,.0f} instead of {was:,.0f} bytes a vector with its index and {search:.1f} ms a search "
            f"instead of {exact:.1f} with every vector: "
        )
        if self.given_up is not None:
            return (
                f"{told}the index finds {self.given_up:.3f} of the nearest neighbours, below index.recall_floor; "
                "name another index.kind, or raise index.nprobes or index.refine_factor"
            )
        if self.change is None:
            told += f"recall@{K} {self.recall:.3f} against {self.against}, without judged questions"
            return told if self.holds else f"{told}; index.recall_floor is {self.limit:g}"
        found = self.change
        told += (
            f"nDCG@10 {found.difference:+.4f} [{found.low:+.4f}, {found.high:+.4f}] against {self.against} over "
            f"{found.n:,} questions"
        )
        return told if self.holds else f"{told}; quality.max_compression_loss allows {self.limit:g}"

    @property
    def verdict(self) -> Verdict:
        """Passed, or refused with the figures."""
        return Verdict(Outcome.PASSED) if self.holds else Verdict(Outcome.REFUSED, (self.message,))

    @property
    def counts(self) -> dict[str, int]:
        """Questions that were asked, and whether the bar was missed."""
        return {"questions": 0 if self.change is None else self.change.n, "refused": int(not self.holds)}

    def to_dict(self) -> dict[str, Any]:
        """What a release keeps of it, as JSON-able values."""
        found = self.change
        judged: dict[str, Any] = {"recall": self.recall}
        if found is not None:
            judged = {"change": found.difference, "between": [found.low, found.high], "questions": found.n}
        told = {"name": self.name, "against": self.against, "message": self.message}
        return told | {"bytes": list(self.bytes), "milliseconds": list(self.milliseconds)} | judged


def changed(context: Context, facts: IndexFacts, config: IndexConfig) -> bool:
    """Whether a run keeps or indexes vectors in fewer bits than the release that it starts from, by configuration.

    Args:
        context: The run; without a release it is compared with what the program does by itself.
        facts: How the new table is searched.
        config: The configuration.
    """
    before = IndexFacts() if context.base is None else context.base.text.index
    rounded = facts.precision != "float32" and before.precision == "float32"
    return rounded or (before.asked != facts.asked and facts.rows >= config.min_rows)


@stage
def judge_smaller(
    context: Context,
    encoder: EncoderFolder,
    sets: Sequence[QuestionSet],
    tables: Mapping[str, int],
    role: Role,
    config: IndexConfig,
    quality: QualityConfig,
) -> Smaller:
    """Measure a table as readers will search it against its whole vectors, each compared with each question.

    Both sides hold the same rows, so nothing but the bits can differ. Without judged questions, vectors of the table
    itself are asked, and what counts is how many of their nearest neighbours are found.

    Args:
        context: The run.
        encoder: The encoder of the role.
        sets: Judged test questions of target sets.
        tables: Table name to the version that is about to be published.
        role: Its text role.
        config: The floor of recall, and how many vectors are asked.
        quality: What may be lost.
    """
    after = Subject.drafted(context.store, tables, role)
    whole, against = _whole(context, after.chunks, role.space)
    known = IndexFacts() if context.base is None else context.base.text.index
    index = role.index if role.index.approximate else None
    asked = unit(after.chunks.take(_spread(after.chunks.rows, max(config.probe_queries, TIMED))))
    exactly, search = (_milliseconds(after.chunks, asked[:TIMED], how) for how in (None, index))
    facts: dict[str, Any] = {
        "name": f"{role.index.precision}, {role.index.asked if index is not None else 'no index'}",
        "against": against,
        "bytes": (_bytes(context, known, after.chunks.dimension), _size(after.chunks)),
        "milliseconds": (exactly, search),
        "given_up": role.index.recall_of_index,
    }
    if not sets:
        recall = _recall(whole, after.chunks, asked[: config.probe_queries], index)
        return Smaller(**facts, limit=config.recall_floor, recall=recall)
    opened, before = encoder.open(), Subject(whole, after.documents, role)
    exact, own = (
        measure(side, opened, sets, what=Measured(("dense",), index=indexed, parts=False), progress=context.progress)
        for side, indexed in ((before, False), (after, True))
    )
    left, right = (np.concatenate([each.modes["dense"].figures for each in found.sets]) for found in (exact, own))
    return Smaller(**facts, limit=quality.max_compression_loss, change=paired(left, right, quality.confidence))


def _whole(context: Context, chunks: ChunkTable, space: str) -> tuple[ChunkTable, str]:
    """The table with whole vectors, and what to call them; where they are gone, the stored ones are all there is."""
    if chunks.precision == "float32":
        return chunks, "exact search"
    try:
        cache = EmbeddingCache.of(context.store, space, released=not context.rebuild)
        return WholeChunks(chunks, cache), "exact search in float32"
    except KeyError:
        return chunks, f"exact search in {chunks.precision}"


def _spread(rows: int, count: int) -> list[int]:
    return np.unique(np.linspace(0, rows - 1, min(count, rows)).astype(np.int64)).tolist() if rows else []


def _recall(whole: ChunkTable, chunks: ChunkTable, queries: npt.NDArray[np.float32], index: IndexFacts | None) -> float:
    """Share of the nearest whole vectors that a search of the table finds; 1 where there is nothing to find."""
    k = min(K, chunks.rows)
    exact = nearest_exact(whole, queries, DEEPER * k)
    hits = 0
    for number, query in enumerate(queries):
        near = exact.filter(exact["query"] == number)
        limit = near["score"][k - 1] - TOLERANCE
        good = set(near.filter(near["score"] >= limit)["id"])
        hits += min(k, len(good & set(nearest(chunks, query, k, ["id"], index)["id"].to_pylist())))
    return hits / (k * len(queries)) if k and len(queries) else 1.0


def _bytes(context: Context, known: IndexFacts, dimension: int) -> float:
    """Of a vector as it is kept now, with its index."""
    base = context.base
    if base is None or context.rebuild:
        return float(BYTES[known.precision] * dimension)
    return _size(ChunkTable(context.store, base.chunks, base.tag))


def _size(chunks: ChunkTable) -> float:
    found = statistics(chunks)
    own = 0.0 if found is None or not found.indexed else found.bytes / found.indexed
    return BYTES[chunks.precision] * chunks.dimension + own


def _milliseconds(chunks: ChunkTable, queries: npt.NDArray[np.float32], index: IndexFacts | None) -> float:
    """Median time of a search, once one was done to warm up."""
    times = [0.0]
    for query in (*queries[:1], *queries):
        started = perf_counter()
        nearest(chunks, query, K, ["id"], index)
        times.append(1000 * (perf_counter() - started))
    return round(median(times[2:] or times), 3)
