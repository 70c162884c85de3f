"""Rows by where they lie: the same as Lance's own, in the order asked for, and quick where rows were deleted."""

from __future__ import annotations

import random
import time
from pathlib import Path

import lance
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.tables.offsets import Rows


def made(path: Path, rows: int, *, stable: bool = True) -> lance.LanceDataset:
    """A table of numbered rows."""
    numbers = pa.table({"n": range(rows), "name": [f"row {n}" for n in range(rows)]})
    return lance.write_dataset(numbers, str(path), max_rows_per_file=max(1, rows // 3), enable_stable_row_ids=stable)


@settings(max_examples=25, deadline=None)
@given(st.data(), st.booleans(), st.booleans())
def test_rows_come_as_asked_whatever_was_deleted_and_compacted(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, stable: bool, compacted: bool
) -> None:
    table = made(tmp_path_factory.mktemp("t") / "t.lance", 40, stable=stable)
    gone = data.draw(st.sets(st.integers(0, 39), max_size=39))
    if gone:
        table.delete(f"n IN ({','.join(map(str, gone))})")
    if compacted:
        table.optimize.compact_files(materialize_deletions_threshold=0.5)
    left = table.to_table()["n"].to_pylist()
    places = data.draw(st.lists(st.integers(0, len(left) - 1), max_size=60))
    found = Rows(table).at(places, ["name", "n"])
    assert found.schema.names == ["name", "n"]
    assert found["n"].to_pylist() == [left[place] for place in places]
    assert found["name"].to_pylist() == [f"row {left[place]}" for place in places]


def test_a_place_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    table = made(tmp_path / "t.lance", 9)
    table.delete("n = 3")
    with pytest.raises(IndexError):
        Rows(table).at([8], ["n"])


def test_deleted_rows_do_not_slow_it(tmp_path: Path) -> None:
    table = made(tmp_path / "t.lance", 60_000)
    table.delete(f"n IN ({','.join(map(str, np.random.default_rng(1).choice(60_000, 3_000, replace=False)))})")
    places = sorted(random.Random(1).sample(range(57_000), 2_000))
    began = time.process_time()
    Rows(table).at(places, ["n"])
    assert time.process_time() - began < 1.0  # `take` needs some three seconds
