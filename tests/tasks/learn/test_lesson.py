"""In which order pairs are learned from."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from storage.tables.pairs import PAIRS, PairTable, write
from storage.tables.store import Store
from tasks.learn.lesson import to_learn

KINDS = ("titles", "judged", "synthetic", "queries", "headings", "feedback", "docstrings", "judged", None)


@pytest.mark.parametrize("rows", [1, 4, 1_024])
def test_what_somebody_asked_comes_first_and_nothing_is_lost(tmp_path: Path, rows: int) -> None:
    empty = dict.fromkeys(PAIRS.names[:-3])
    pairs = [
        empty | {"id": f"{n}", "question": f"q{n}", "passage": f"p{n}", "kind": kind, "split": "train", "grade": 1}
        for n, kind in enumerate(KINDS)
    ]
    other = [pairs[1] | {"id": "test", "split": "test"}, pairs[1] | {"id": "shown", "grade": 0}]
    store = Store(tmp_path / "store")
    write(store, 1, [pl.DataFrame([*pairs, *other], infer_schema_length=None)])
    found = pl.concat(to_learn(PairTable(store), 1, rows=rows))
    assert found.rows() == [
        *((f"q{n}", f"p{n}", True) for n in (1, 3, 5, 7)),
        *((f"q{n}", f"p{n}", False) for n in (0, 2, 4, 6, 8)),
    ]
