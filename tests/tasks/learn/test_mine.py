"""Hard negatives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from storage.hashing import digest
from storage.tables.chunks import ChunkTable, append
from storage.tables.store import Store
from tasks.learn import mine as module
from tasks.learn.mine import NEGATIVES, mine

TABLE = "chunks__aaaa"
FAR = {"query": pl.UInt32, "key": pl.String}


def unit(*degrees: float) -> np.ndarray:
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def table(folder: Path, degrees: dict[str, list[float]]) -> ChunkTable:
    """Documents by the angles of their chunks."""
    store = Store(folder / "store")
    rows = [(name, n, angle) for name, angles in degrees.items() for n, angle in enumerate(angles)]
    frame = pl.DataFrame(
        [
            {
                "id": digest(f"{name} {n}"),
                "key": digest(name),
                "source": "notes",
                "document": name,
                "ordinal": n,
                "start": 0,
                "end": 1,
                "unit": "characters",
                "tokens": 1,
                "hash": digest(f"{name} {n}"),
                "text": f"{name} {n}",
            }
            for name, n, _ in rows
        ]
    ).cast({"ordinal": pl.Int32, "start": pl.Int32, "end": pl.Int32, "tokens": pl.Int32})
    append(store, TABLE, 2, [(frame, unit(*(angle for *_, angle in rows)))])
    return ChunkTable(store, TABLE)


def positives(*pairs: tuple[int, str]) -> pl.DataFrame:
    return pl.DataFrame([(query, digest(name)) for query, name in pairs], schema=FAR, orient="row")


def passages(found: pl.DataFrame) -> list[tuple[int, str, int]]:
    return found.select("query", "passage", "rank").rows()


@pytest.fixture
def chunks(tmp_path: Path) -> ChunkTable:
    return table(tmp_path, {f"d{n}": [n * 5.0, 90.0] for n in range(15)})


def test_negatives_are_the_nearest_that_are_clearly_worse_than_the_positive(chunks: ChunkTable) -> None:
    [found] = mine(unit(0), positives((0, "d0")), chunks, n=3)
    # Ranks 1 to 4 are within 5 % of the positive: cos 15 degrees is .966, cos 20 is .940.
    assert passages(found) == [(0, "d4 0", 5), (0, "d5 0", 6), (0, "d6 0", 7)]
    assert found.schema == NEGATIVES


def test_the_first_ranks_are_no_negatives_and_the_last_ones_neither(chunks: ChunkTable) -> None:
    [found] = mine(unit(0), positives((0, "d0")), chunks, n=9, ranks=(6, 7))
    assert [rank for *_, rank in passages(found)] == [6, 7]


def test_a_positive_that_is_not_found_sets_the_limit_all_the_same(chunks: ChunkTable) -> None:
    [found] = mine(unit(0), positives((0, "d8")), chunks, n=5, ranks=(1, 3))
    assert found.is_empty()
    [found] = mine(unit(0), positives((0, "d8")), chunks, n=2)
    # cos 40 degrees is .766, and .95 of it lies between 40 and 45 degrees.
    assert [text for _, text, _ in passages(found)] == ["d9 0", "d10 0"]


def test_relatives_of_any_positive_are_no_negatives(chunks: ChunkTable) -> None:
    kin = pl.DataFrame({"key": [digest("d1"), digest("d4"), digest("d6")], "family": ["f", "f", "g"]})
    [found] = mine(unit(0), positives((0, "d0"), (0, "d1"), (0, "d5")), chunks, n=2, families=kin)
    assert [text for _, text, _ in passages(found)] == ["d6 0", "d7 0"]


def test_a_question_whose_answer_is_not_in_the_table_has_none(chunks: ChunkTable) -> None:
    [found] = mine(unit(0, 0), positives((1, "gone")), chunks, n=2)
    assert found.is_empty()


def test_questions_are_taken_in_slices_and_keep_their_numbers(
    chunks: ChunkTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, right = unit(0, 5, 10, 0, 5), positives(*((n, "d0") for n in range(5)))
    [whole] = mine(asked, right, chunks, n=2)
    monkeypatch.setattr(module, "SLICE", 2)
    parts = list(mine(asked, right, chunks, n=2))
    assert len(parts) == 3
    assert pl.concat(parts).equals(whole)
    assert whole["query"].n_unique() == 5
    assert list(mine(asked[:0], right, chunks, n=2)) == []
