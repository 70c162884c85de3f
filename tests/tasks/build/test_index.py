"""The vector index: built, extended, left out, and the tables kept compact."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from corpus import configure, context
from hypothesis import given
from hypothesis import strategies as st

from models.config import EncoderConfig
from models.encoder import resolve
from storage.hashing import digest
from storage.tables.chunks import ChunkTable, chunks_schema
from storage.tables.documents import DOCUMENTS
from storage.tables.index import statistics
from storage.tables.roles import IndexFacts, chunks_table
from storage.tables.words import text_statistics
from tasks.build.index import NIGHTS, PARTS, IndexConfig, index, merged, taken_over
from tasks.context import Context

CONFIG = IndexConfig(min_rows=256)
ENCODER = resolve(EncoderConfig(name="stub"))
TABLE = chunks_table(ENCODER.space.id)


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Context]:
    """A context with empty tables."""
    with context(configure(tmp_path)) as made:
        made.store.ensure("documents", DOCUMENTS)
        made.store.ensure(TABLE, chunks_schema(ENCODER.space.dimension))
        yield made


def grow(shared: Context, count: int, seed: int = 0) -> None:
    """Append chunks with random vectors."""
    schema = chunks_schema(ENCODER.space.dimension)
    vectors = np.random.default_rng(seed).normal(size=(count, ENCODER.space.dimension)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    blank = dict.fromkeys(schema.names)
    words = (f"tide {seed} {n}" for n in range(count))
    rows = [
        blank | {"id": digest(word), "text": word, "vector": vector}
        for word, vector in zip(words, vectors, strict=True)
    ]
    shared.store.append(TABLE, schema, [pa.RecordBatch.from_pylist(rows, schema=schema)])


def indexed(shared: Context) -> tuple[str, int | None, float | None]:
    """Run the stage: kind, cells and coverage."""
    tables = {name: shared.store.open(name).version for name in (TABLE, "documents")}
    result = index(shared, ENCODER, CONFIG, tables)
    heads = {name: shared.store.open(name).version for name in tables}
    assert result.tables == heads
    chunks = ChunkTable(shared.store, TABLE)
    assert result.facts.rows == chunks.rows
    stats = statistics(chunks)
    return result.facts.kind, result.facts.partitions, None if stats is None else stats.coverage


def test_a_small_table_is_left_to_exact_search(shared: Context) -> None:
    assert indexed(shared) == ("exact", None, None)
    grow(shared, 255)
    assert indexed(shared) == ("exact", None, None)
    assert statistics(ChunkTable(shared.store, TABLE)) is None


def test_an_index_is_built_extended_and_built_anew_when_the_table_has_grown_fourfold(shared: Context) -> None:
    grow(shared, 256)
    assert indexed(shared) == ("IVF_RQ", 8, 1.0)
    grow(shared, 50, seed=1)
    assert indexed(shared) == ("IVF_RQ", 8, 1.0)
    version = shared.store.open(TABLE).version
    assert indexed(shared)[2] == 1.0
    assert shared.store.open(TABLE).version == version  # nothing new: nothing is done
    grow(shared, 900, seed=2)
    assert indexed(shared) == ("IVF_RQ", 17, 1.0)


def test_a_night_adds_a_part_to_the_index_and_leaves_the_large_one_as_it_is(shared: Context) -> None:
    grow(shared, 400)
    indexed(shared)
    large = oldest(shared)
    for seed, parts in ((1, (400, 10)), (2, (400, 20)), (3, (400, 30)), (4, (400, 30, 10))):
        grow(shared, 10, seed)
        assert indexed(shared)[2] == 1.0
        stats = statistics(ChunkTable(shared.store, TABLE))
        assert stats is not None
        assert stats.parts == parts
    assert oldest(shared) == large


def oldest(shared: Context) -> str:
    found = next(each for each in shared.store.open(TABLE).describe_indices() if each.name == "vector_idx")
    return str(found.segments[0].uuid)


def test_an_index_full_of_rows_that_are_gone_is_built_anew(shared: Context) -> None:
    grow(shared, 600)
    indexed(shared)
    ids = shared.store.open(TABLE).to_table(columns=["id"])["id"].to_pylist()
    shared.store.delete_keys(TABLE, "id", ids[:200])
    before = statistics(ChunkTable(shared.store, TABLE))
    assert before is not None
    assert before.dead == pytest.approx(1 / 3)
    indexed(shared)
    after = statistics(ChunkTable(shared.store, TABLE))
    assert after is not None
    assert (after.dead, after.parts) == (0.0, (400,))


@given(nights=st.lists(st.integers(1, 50), max_size=300), base=st.integers(1, 10_000))
def test_parts_stay_few_and_rows_are_seldom_written_again(nights: list[int], base: int) -> None:
    parts, written = [base], 0
    for new in nights:
        count = merged(parts, new)
        kept = parts[: len(parts) - count]
        parts = [*kept, new + sum(parts[len(kept) :])]
        written += parts[-1]
        assert len(parts) <= PARTS
    assert sum(parts) == base + sum(nights)
    # Each row at most as often as its part can grow by half, and once more where there were too many parts.
    assert written <= (base + sum(nights)) * 30


FACTS = IndexFacts("IVF_RQ", 1_000, 80, 10, partitions=16, recall=0.95, text="icu/split")


def test_recall_is_measured_once_in_seven_releases_and_after_a_tenth_of_the_rows() -> None:
    known, nights = FACTS, 0
    while (found := taken_over(known, CONFIG, known.rows + 1, 1)) is not None:
        known, nights = found, nights + 1
        assert (known.recall, known.nights, known.changed, known.rows) == (0.95, nights, nights, 1_000 + nights)
    assert nights == NIGHTS - 1
    few = taken_over(FACTS, CONFIG, 1_000, 40)  # forty came and forty went
    assert few is not None
    assert (few.changed, few.measured) == (80, "measured 1 release before")
    assert taken_over(few, CONFIG, 1_000, 11) is None
    assert FACTS.measured == "measured for this release"


@pytest.mark.parametrize(
    ("known", "config"),
    [
        (IndexFacts("exact", 1_000, 80, 10), CONFIG),
        (replace(FACTS, recall=None), CONFIG),
        (FACTS, IndexConfig(recall_floor=0.96)),
        (FACTS, IndexConfig(nprobes=70)),
        (FACTS, IndexConfig(kind="flat")),
        (replace(FACTS, kind="exact", recall=None, recall_of_index=0.8), IndexConfig(recall_floor=0.7)),
    ],
)
def test_recall_is_measured_where_the_past_says_nothing_of_it(known: IndexFacts, config: IndexConfig) -> None:
    assert taken_over(known, config, 1_000, 0) is None


def test_an_index_that_was_given_up_is_not_tried_again_every_night() -> None:
    given_up = replace(FACTS, kind="exact", recall=None, recall_of_index=0.8, nprobes=640, refine_factor=80)
    found = taken_over(given_up, CONFIG, 1_000, 0)
    assert found is not None
    assert (found.approximate, found.recall_of_index, found.nights) == (False, 0.8, 1)


def test_a_table_that_shrank_is_searched_exactly_although_it_has_an_index(shared: Context) -> None:
    grow(shared, 300)
    indexed(shared)
    table = shared.store.open(TABLE)
    shared.store.delete_keys(TABLE, "id", table.to_table(columns=["id"])["id"].to_pylist()[:200])
    assert indexed(shared)[0] == "exact"


def test_a_table_written_anew_is_covered_whole(shared: Context) -> None:
    grow(shared, 300)
    indexed(shared)
    shared.store.open(TABLE).delete("true")
    grow(shared, 300, seed=1)
    kind, _, share = indexed(shared)
    assert (kind, share) == ("IVF_RQ", 1.0)


def test_many_small_files_and_many_dead_rows_are_merged(shared: Context) -> None:
    for seed in range(33):
        grow(shared, 2, seed)
    indexed(shared)
    assert len(shared.store.open(TABLE).get_fragments()) == 1
    ids = shared.store.open(TABLE).to_table(columns=["id"])["id"].to_pylist()
    shared.store.delete_keys(TABLE, "id", ids[:10])
    indexed(shared)
    assert dead(shared) == 10  # a few are left where they are
    shared.store.delete_keys(TABLE, "id", ids[10:30])
    indexed(shared)
    assert dead(shared) == 0
    assert shared.store.open(TABLE).to_table(columns=["id"])["id"].to_pylist() == ids[30:]


def dead(shared: Context) -> int:
    return sum(fragment.num_deletions for fragment in shared.store.open(TABLE).get_fragments())


def worded(shared: Context, **given: object) -> tuple[str | None, tuple[str, int, int] | None]:
    """Run the stage: what it says of the full-text index; its tokenizer, rows outside it and parts."""
    config = CONFIG.model_copy(update=given)
    facts = index(shared, ENCODER, config, {}).facts
    stats = text_statistics(ChunkTable(shared.store, TABLE))
    return facts.text, None if stats is None else (stats.tokenizer, stats.unindexed, stats.parts)


def test_words_are_indexed_whatever_the_size_and_a_night_costs_its_own_rows(
    shared: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert worded(shared) == ("icu/split", None)  # nothing to index yet
    grow(shared, 20)
    assert worded(shared) == ("icu/split", ("icu/split", 0, 1))
    version = shared.store.open(TABLE).version
    assert worded(shared) == ("icu/split", ("icu/split", 0, 1))
    assert shared.store.open(TABLE).version == version  # nothing new: nothing is done
    # 20 + 2, then the second 2 and the third go into the first, and the fourth is a part of its own.
    for seed, parts in ((1, 2), (2, 2), (3, 2), (4, 3)):
        grow(shared, 2, seed)
        assert worded(shared) == ("icu/split", ("icu/split", 0, parts))
    monkeypatch.setattr("tasks.build.index.PARTS", 1)
    grow(shared, 2, 5)
    assert worded(shared) == ("icu/split", ("icu/split", 0, 1))


def test_words_are_indexed_anew_for_another_tokenizer_or_once_many_texts_are_gone(shared: Context) -> None:
    grow(shared, 20)
    worded(shared)
    grow(shared, 1, seed=1)
    assert worded(shared, tokenizer="simple") == ("simple", ("simple", 0, 1))
    ids = [digest(f"tide 0 {number}") for number in range(10)]
    shared.store.delete_keys(TABLE, "id", ids[:5])
    grow(shared, 1, seed=2)
    assert worded(shared, tokenizer="simple") == ("simple", ("simple", 0, 2))
    shared.store.delete_keys(TABLE, "id", ids[5:])
    assert worded(shared, tokenizer="simple") == ("simple", ("simple", 0, 1))


def test_words_are_not_indexed_where_they_are_not_wanted(shared: Context) -> None:
    grow(shared, 20)
    assert worded(shared, text=False) == (None, None)
    worded(shared)
    assert worded(shared, text=False) == (None, None)
