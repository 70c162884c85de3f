"""What is said of the vectors that arrive."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from watched import CONFIG, brought

from models.vectors import nearest_centre
from storage.tables import chunks
from storage.tables.chunks import ChunkTable
from storage.tables.nights import NightSums
from storage.tables.store import Store
from tasks.watch.cells import changed_cells, fit_cells
from tasks.watch.embeddings import EACH, EmbeddingsResult, Sample, classified, measure_embeddings, sample
from tasks.watch.night import Night

NIGHT = replace(brought([]), space="a" * 32)


def drawn(count: int, seed: int, shift: float = 0.0, source: str = "notes") -> Sample:
    """Unit vectors of as many documents, of which a shift moves the first two coordinates."""
    vectors = np.random.default_rng(seed).normal(size=(count, 16))
    vectors[:, :2] += shift
    unit = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return Sample(unit, [f"{source}{seed}-{at}" for at in range(count)], [source] * count)


def measured(
    night: Sample, before: list[NightSums] | None = None, centres: np.ndarray | None = None
) -> EmbeddingsResult:
    return measure_embeddings(night, NIGHT, before or [], centres, CONFIG)


def history(nights: int, source: str = "notes", centres: np.ndarray | None = None) -> list[NightSums]:
    return [each for n in range(nights) for each in measured(drawn(80, 100 + n, source=source), None, centres).sums]


def test_the_first_night_of_a_space_says_nothing_and_leaves_its_sums_and_cells() -> None:
    found = measured(drawn(64, 1))
    assert found.figures == ()
    assert found.centres is not None and found.centres.shape == (4, 16)
    (sums,) = found.sums
    assert (sums.documents, sums.vectors, sum(sums.cells)) == (64, 64, 64)
    np.testing.assert_allclose(sums.total, drawn(64, 1).vectors.astype(np.float64).sum(axis=0))


def test_a_shift_is_far_beyond_what_quiet_nights_say() -> None:
    before = history(6)
    quiet = [measured(drawn(80, seed), before).figures[0] for seed in range(8)]
    moved = measured(drawn(80, 50, shift=1.0), before).figures[0]
    assert moved.value > 5 * max(each.value for each in quiet)
    assert all(abs(each.value) < 5 * each.error for each in quiet)


def test_the_source_that_moved_is_named() -> None:
    before = [*history(6), *history(6, "mail")]
    mixed = drawn(60, 1), drawn(20, 2, shift=1.5, source="mail")
    night = Sample(
        np.concatenate([each.vectors for each in mixed]),
        [name for each in mixed for name in each.documents],
        [name for each in mixed for name in each.sources],
    )
    whole, *sources = measured(night, before).figures
    assert sorted(str(each.source) for each in sources) == ["mail", "notes"]
    assert next(iter(whole.detail["sources"])) == "mail"
    told = {each.source: each.value for each in sources}
    assert told["mail"] > 10 * abs(told["notes"])


def test_cells_that_grew_name_their_documents() -> None:
    centres = fit_cells(drawn(200, 9).vectors)
    assert centres is not None
    before = history(6, centres=centres)
    night = drawn(60, 3)
    one = drawn(40, 4)
    one = Sample(np.tile(centres[2] / np.linalg.norm(centres[2]), (40, 1)), one.documents, one.sources)
    both = np.concatenate([night.vectors, one.vectors]), night.documents + one.documents, night.sources + one.sources
    found = changed_cells(*both, before, centres)
    assert found["grew"][0]["cell"] == 2
    assert found["grew"][0]["share"] > found["grew"][0]["usual"] + 0.2
    assert [each["document"] for each in found["grew"][0]["documents"]] == one.documents[:3]
    assert found["emptied"][0]["documents"][0]["document"].startswith("notes10")
    assert set(nearest_centre(one.vectors, centres)) == {2}
    assert changed_cells(*both, [], centres) == {"grew": [], "emptied": []}


def test_a_classifier_tells_people_how_far_apart_two_sides_are() -> None:
    before = history(6)
    same, other = (
        classified(measured(night, before).figures[0], night, before).detail["auc"]
        for night in (drawn(80, 5), drawn(80, 6, shift=1.5))
    )
    assert 0.3 < same < 0.65
    assert other > 0.8


def test_too_few_documents_are_no_figure_but_are_remembered() -> None:
    found = measured(drawn(3, 1), history(6))
    assert found.figures == () and found.sums[0].documents == 3


@pytest.fixture
def night(tmp_path: Path) -> Night:
    """A night whose chunks lie in a table: one document of twelve, ten of one."""
    rows = [("notes", "long" if at < 12 else f"n{at}", f"text {at}") for at in range(22)]
    made = brought(rows)
    identities = [f"{at:032x}" for at in range(22)]
    [frame] = made.chunks()
    frame = frame.with_columns(pl.Series("id", identities))
    full = frame.with_columns(
        ordinal=pl.lit(0, pl.Int32),
        start=pl.lit(0, pl.Int32),
        end=pl.lit(1, pl.Int32),
        unit=pl.lit("characters"),
        tokens=pl.lit(1, pl.Int32),
        hash=pl.col("id"),
        text=pl.lit("t"),
    )
    store = Store(tmp_path / "store")
    chunks.append(store, "chunks__a", 4, [(full, np.repeat(np.arange(22, dtype=np.float32)[:, None], 4, axis=1))])
    arrivals = made.arrivals.unique("key", maintain_order=True)
    return replace(made, arrivals=arrivals, chunks=lambda: [frame], table=ChunkTable(store, "chunks__a"))


def test_a_sample_is_seeded_and_takes_few_of_each_document(night: Night) -> None:
    found = sample(night, 50)
    assert found.documents.count("long") == EACH
    assert len(found.documents) == 14
    by_name = dict(zip(found.documents, found.vectors[:, 0], strict=True))
    assert all(by_name[f"n{at}"] == at for at in range(12, 22))  # each vector is that of its document
    few = sample(night, 5)
    assert (few.documents, few.sources) == (found.documents[:5], ["notes"] * 5)
    [frame] = night.chunks()
    for order in (frame[::-1], frame.sort("key"), frame.sort("id")):
        for size in (1, 5, 22):
            other = replace(night, chunks=partial(order.iter_slices, size))
            assert sample(other, 50).documents == found.documents
            assert sample(other, 5).documents == few.documents
    assert sample(night, 50, seed=1).documents != found.documents
    assert not sample(replace(night, chunks=tuple), 5).documents
    with pytest.raises(ValueError, match="wrote no chunks"):
        sample(replace(night, table=None), 50)
