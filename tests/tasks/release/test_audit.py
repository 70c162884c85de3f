"""Every kind of damage is found, by the check that is made for it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from corpus import configure, prose
from hypothesis import given
from hypothesis import strategies as st

from flows.refresh import refresh
from storage.tables.chunks import chunks_schema
from storage.tables.releases import Releases
from storage.tables.roles import TEXT
from storage.tables.store import Store
from tasks.build.index import IndexConfig
from tasks.release.audit import Snapshot, _Rows, examine, examine_deeply

CONFIG = IndexConfig(min_rows=256)
Row = dict[str, Any]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one release over the floor of the index: 40 documents, of which two are equal."""
    base = tmp_path_factory.mktemp("made")
    texts = {f"{n:02}.md": prose(f"word{n}", 8) for n in range(39)} | {"twin.md": prose("word0", 8)}
    refresh(configure(base, texts, index={"min_rows": 256}))
    return base / "store"


@pytest.fixture
def store(made: Path, tmp_path: Path) -> Store:
    """A copy of it, to be damaged."""
    return Store(shutil.copytree(made, tmp_path / "store"))


def snapshot(store: Store) -> Snapshot:
    """The heads of the tables as if they were about to be published with the counts of the release."""
    release = Releases(store).get()
    tables = {name: store.open(name).version for name in release.tables}
    return Snapshot(store, tables, release.roles, release.counts)


def failed(store: Store, config: IndexConfig = CONFIG) -> set[str]:
    return {check.name for check in examine(snapshot(store), config).failed}


def edit(store: Store, name: str, where: str, change: Callable[[Row], list[Row]]) -> None:
    """Replace the first row that fits by what `change` makes of it."""
    table = store.open(name)
    row = table.to_table(filter=where, limit=1).to_pylist()[0]
    key = "id" if name.startswith("chunks__") else "key"
    table.delete(f"{key} = '{row[key]}'")
    rows = change(row)
    store.append(name, table.schema, [pa.RecordBatch.from_pylist(rows, schema=table.schema)] if rows else [])


def chunks(store: Store) -> str:
    return Releases(store).get().chunks


def test_a_sound_state_passes(store: Store) -> None:
    result = examine(snapshot(store), CONFIG)
    assert (result.ok, result.failed, result.counts) == (True, [], {"checks": len(result.checks), "failed": 0})
    assert result.recall is not None and result.recall >= CONFIG.recall_floor
    assert {"index.coverage", "index.recall"} <= {check.name for check in result.checks}
    deep = examine_deeply(snapshot(store))
    assert [check.name for check in deep.checks if check.ok] == ["deep.texts", "deep.encoder"]
    assert result.to_dict()["checks"][0].keys() == {"name", "ok", "detail"}


DAMAGE: dict[str, tuple[str, Callable[[Row], list[Row]], set[str]]] = {
    "a lost chunk": ("ordinal = 1", lambda row: [], {"chunks.conserved", "chunks.spans", "run.chunks"}),
    "a chunk twice": (
        "ordinal = 0",
        lambda row: [row, row],
        {"chunks.unique", "chunks.conserved", "chunks.spans", "run.chunks"},
    ),
    "a vector that is not finite": ("ordinal = 0", lambda row: [row | {"vector": [np.nan] * 384}], {"vectors.sound"}),
    "a vector of another norm": (
        "ordinal = 0",
        lambda row: [row | {"vector": [x * 1.01 for x in row["vector"]]}],
        {"vectors.sound"},
    ),
    "a chunk of another document": (
        "ordinal = 0",
        lambda row: [row | {"key": "00"}],
        {"chunks.conserved", "chunks.spans"},
    ),
    "a gap in the ordinals": ("ordinal = 1", lambda row: [row | {"ordinal": 99}], {"chunks.spans"}),
    "an empty span": ("ordinal = 1", lambda row: [row | {"end": row["start"]}], {"chunks.spans"}),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_to_chunks_is_found(store: Store, kind: str) -> None:
    where, change, wanted = DAMAGE[kind]
    edit(store, chunks(store), where, change)
    assert failed(store) == wanted


def test_a_lost_last_chunk_is_found(store: Store) -> None:
    table = store.open(chunks(store))
    last = max(table.to_table(columns=["ordinal"], filter="document = '00.md'")["ordinal"].to_pylist())
    table.delete(f"document = '00.md' AND ordinal = {last}")
    assert failed(store) == {"chunks.conserved", "run.chunks"}
    [check] = [check for check in examine(snapshot(store), CONFIG).failed if check.name == "chunks.conserved"]
    assert f"for example notes/00.md: {last + 1} promised, {last} found; run `tidemark refresh`" in check.detail


LEDGER: dict[str, tuple[str, Callable[[Row], list[Row]], set[str]]] = {
    "another number of chunks": ("n_chunks > 0", lambda row: [row | {"n_chunks": 1}], {"chunks.conserved"}),
    "a document without its row": (
        "n_chunks > 0 AND id = '01.md'",
        lambda row: [],
        {"chunks.conserved", "run.documents"},
    ),
    "a document twice": ("id = 'twin.md'", lambda row: [row, row], {"documents.unique", "run.documents"}),
    "a duplicate of nothing": ("id = 'twin.md'", lambda row: [row | {"duplicate_of": "00"}], {"documents.duplicates"}),
    "a duplicate of something else": (
        "id = 'twin.md'",
        lambda row: [row | {"content_hash": "00"}],
        {"documents.duplicates"},
    ),
    "a content indexed twice": ("id = 'twin.md'", lambda row: [row | {"duplicate_of": None}], {"documents.content"}),
}


@pytest.mark.parametrize("kind", LEDGER)
def test_damage_to_documents_is_found(store: Store, kind: str) -> None:
    where, change, wanted = LEDGER[kind]
    edit(store, "documents", where, change)
    assert failed(store) == wanted


def test_counts_that_do_not_add_up_are_found(store: Store) -> None:
    sound = snapshot(store)
    for name, wanted in [
        ("documents", "run.documents"),
        ("quarantined", "run.documents"),
        ("duplicates", "run.documents"),
        ("chunks", "run.chunks"),
        ("embedded", "run.chunks"),
    ]:
        wrong = replace(sound, counts={**sound.counts, name: sound.counts[name] + 1})
        assert {check.name for check in examine(wrong, CONFIG).failed} == {wanted}
    assert examine(replace(sound, counts={}), CONFIG).ok


def encoded(sound: Snapshot, **facts: Any) -> Snapshot:
    """The same tables, with another thing said of their encoder."""
    encoder = replace(sound.text.encoder, **facts)
    return replace(sound, roles={TEXT: replace(sound.text, encoder=encoder)})


def test_another_dimension_is_found(store: Store) -> None:
    wrong = examine(encoded(snapshot(store), dimension=7), CONFIG)
    assert wrong.failed[0].detail.startswith("dimension 384, the space has 7")


def test_norms_are_free_where_the_space_does_not_normalise(store: Store) -> None:
    edit(store, chunks(store), "ordinal = 0", lambda row: [row | {"vector": [2 * x for x in row["vector"]]}])
    assert examine(encoded(snapshot(store), normalise=False), CONFIG).ok


def test_a_missing_encoder_is_found(store: Store) -> None:
    shutil.rmtree(Path(store.uri) / "models")
    assert failed(store) == {"encoder.kept"}
    assert not examine_deeply(snapshot(store)).ok


def test_rows_outside_the_index_are_found(store: Store) -> None:
    table = store.open(chunks(store))
    rows = table.to_table(limit=40).to_pylist()
    for number, row in enumerate(rows):
        row |= {"id": f"{number:032x}"}
    store.append(chunks(store), chunks_schema(384), [pa.RecordBatch.from_pylist(rows, schema=table.schema)])
    assert {"index.coverage", "text.coverage"} <= failed(store)
    store.open(chunks(store)).drop_index("text_idx")
    [check] = [check for check in examine(snapshot(store), CONFIG).failed if check.name == "text.coverage"]
    assert check.detail.startswith("0.0% of the rows are in the full-text index; run `tidemark refresh`")
    store.open(chunks(store)).drop_index("vector_idx")
    [check] = [check for check in examine(snapshot(store), CONFIG).failed if check.name == "index.coverage"]
    assert check.detail.startswith("there is no index")


def test_an_index_that_misses_too_much_is_found(store: Store) -> None:
    sound = snapshot(store)
    index = replace(sound.text.index, nprobes=1, refine_factor=1)
    weak = replace(sound, roles={TEXT: replace(sound.text, index=index)})
    result = examine(weak, IndexConfig(min_rows=256, recall_floor=1.0))
    assert [check.name for check in result.failed] == ["index.recall"]
    assert result.recall is not None and result.recall < 1
    assert "below index.recall_floor 1.0; raise index.nprobes or index.refine_factor" in result.failed[0].detail


def test_vectors_are_judged_in_new_files_alone_where_digests_prove_the_others(store: Store) -> None:
    sound = snapshot(store)
    edit(store, chunks(store), "ordinal = 0", lambda row: [row | {"vector": [x * 1.01 for x in row["vector"]]}])
    assert [check.name for check in examine(replace(snapshot(store), base=sound.tables), CONFIG).failed] == [
        "vectors.sound"
    ]
    later = replace(snapshot(store), base=snapshot(store).tables)
    told = {check.name: check for check in examine(later, CONFIG).checks}["vectors.sound"]
    assert (
        told.ok,
        told.detail.startswith("0 vectors of 384"),
        "lie in files of the release before" in told.detail,
    ) == ((True, True, True))
    assert failed(store) == {"vectors.sound"}  # on demand all are judged, whoever judged them before


def test_recall_that_was_taken_over_says_when_it_was_measured_and_is_measured_on_demand(store: Store) -> None:
    sound = snapshot(store)
    index = replace(sound.text.index, recall=0.93, nights=2)
    known = replace(sound, roles={TEXT: replace(sound.text, index=index)})
    taken, measured = examine(replace(known, base=sound.tables), CONFIG), examine(known, CONFIG)
    assert (taken.recall, measured.recall) == (0.93, Releases(store).get().text.index.recall)
    (told,) = [check.detail for check in taken.checks if check.name == "index.recall"]
    assert "measured 2 releases before; again once in 7 releases, and now by `tidemark audit`" in told
    assert not any("before" in check.detail for check in measured.checks if check.name == "index.recall")


@pytest.mark.parametrize("name", ["documents", "chunks"])
def test_lost_tables_and_files_are_found(store: Store, name: str) -> None:
    wanted = snapshot(store)
    table = Path(store.path(chunks(store) if name == "chunks" else name))
    for file in (table / "data").iterdir():
        file.write_bytes(file.read_bytes()[:50])
    assert [check.name for check in examine(wanted, CONFIG).failed] == ["tables.readable"]
    shutil.rmtree(table)
    [check] = examine(wanted, CONFIG).failed
    assert check.name == "tables.present"
    assert "restore the store from a backup, or `tidemark refresh --rebuild`" in check.detail


DEEP: dict[str, tuple[str, Callable[[Row], list[Row]]]] = {
    "documents": ("id = '03.md'", lambda row: [row | {"text": row["text"].replace("dry", "wet", 1)}]),
    "chunks": ("ordinal = 1", lambda row: [row | {"text": f"{row['text'][:-1]}!"}]),
    "spans": ("ordinal = 1", lambda row: [row | {"start": row["start"] + 1}]),
}


@pytest.mark.parametrize("kind", DEEP)
def test_changed_texts_are_found_by_a_deep_audit(store: Store, kind: str) -> None:
    edit(store, "documents" if kind == "documents" else chunks(store), *DEEP[kind])
    assert failed(store) == set()
    [check] = examine_deeply(snapshot(store)).failed
    assert (check.name, check.detail.endswith("it starts again from the last good release")) == ("deep.texts", True)


def test_every_changed_file_of_the_encoder_is_found_by_a_deep_audit(store: Store) -> None:
    folder = Path(store.uri) / "models" / snapshot(store).text.space
    (folder / "probe.npy").write_bytes(b"")
    [check] = examine_deeply(snapshot(store)).failed
    assert (check.name, check.detail) == ("deep.encoder", f"models/{folder.name}/probe.npy is changed")


places = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(-1, 3), st.integers(-1, 3)), max_size=25)


@given(places, st.integers(1, 7))
def test_rows_are_counted_as_a_table_of_them_counts(rows: list[tuple[int, int, int, int]], size: int) -> None:
    columns = {"key": pl.String, "ordinal": pl.Int32, "start": pl.Int32, "end": pl.Int32}
    frame = pl.DataFrame([(f"d{key}", *rest) for key, *rest in rows], schema=columns, orient="row")
    frame = frame.with_columns(id=pl.concat_str("key", pl.col("ordinal").cast(pl.String)))

    class Chunks:
        def columns(self, names: list[str], *, rows: int) -> Iterator[pl.DataFrame]:
            yield from frame.select(names).iter_slices(size)

    found = _Rows.of(Chunks())  # type: ignore[arg-type]
    by_key = frame.group_by("key").agg(pl.col("ordinal").sort())
    expected = {
        (pl.Series([key]).hash()[0], len(found), found == list(range(len(found)))) for key, found in by_key.iter_rows()
    }
    assert set(found.documents.iter_rows()) == expected
    assert (found.count, found.twice) == (frame.height, frame.height - frame["id"].n_unique())
    assert found.odd == sum(not (0 <= start < end) for _, _, start, end in rows)
