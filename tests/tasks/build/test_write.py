"""Both tables brought from the base release to the next one, whatever was left at their heads."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from corpus import configure, context, documents, encoder, prepared, prose, rows, save

from flows.audit import audit
from flows.config.schema import Config
from flows.refresh import refresh
from storage.tables.store import Store
from tasks.build.embed import embed
from tasks.build.write import Written, write
from tasks.context import Context
from tasks.tally import Preparation
from tasks.work import Once


def written(shared: Context, config: Config) -> tuple[Preparation, Written]:
    found, done = encoder(config), prepared(shared, config)
    embed(shared, found, done.changes, done.pending)
    return done, write(shared, found, done.plan, done.reading, done.validated, Once(done.deduplicated), done.changes)


def ledger(config: Config, version: int) -> dict[str, tuple[int, bool]]:
    table = Store(config.store.uri).open("documents", version)
    frame = pl.DataFrame(pl.from_arrow(table.to_table(columns=["id", "n_chunks", "duplicate_of"])))
    return {name: (count, twin is not None) for name, count, twin in frame.rows()}


def test_the_tables_hold_every_document_and_every_chunk_with_its_vector(tmp_path: Path) -> None:
    text = prose("anchor", 4)
    config = configure(tmp_path, {"a.md": text, "b.md": text, "c.md": prose("chart")})
    with context(config) as shared:
        done, result = written(shared, config)
        table = done.changes.table
        chunks = shared.store.open(table, result.tables[table]).to_table()
        sizes = dict(done.changes.cut().iter_rows())
    assert result.counts == {table: done.changes.upserts.rows, "documents": 3}
    found = ledger(config, result.tables["documents"])
    assert (found["b.md"], found["a.md"][1], found["c.md"][1]) == ((0, True), False, False)
    assert found["a.md"][0] + found["c.md"][0] == chunks.num_rows == sum(sizes.values())
    wanted = encoder(config).open().encode_documents(chunks["text"].to_pylist())
    assert chunks["vector"].to_pylist() == wanted.tolist()


def test_what_an_unfinished_run_wrote_is_forgotten(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor")})
    with context(config) as shared:
        written(shared, config)  # killed before it published: the tables hold rows that no release has
    save(tmp_path / "notes", {"a.md": None, "b.md": prose("buoy")})
    refresh(config)
    assert (list(documents(config)), {row["document"] for row in rows(config)}) == (["notes/b.md"], {"b.md"})

    save(tmp_path / "notes", {"c.md": prose("chart")})
    with context(config) as shared:
        written(shared, config)
    save(tmp_path / "notes", {"c.md": None, "d.md": prose("dock")})
    refresh(config)
    assert sorted(documents(config)) == ["notes/b.md", "notes/d.md"]
    assert audit(config, deep=True).ok


def test_rows_that_nothing_happened_to_are_left_alone(tmp_path: Path) -> None:
    config = configure(tmp_path, {f"{name}.md": prose(name) for name in ("anchor", "buoy", "chart")})
    first = refresh(config)
    save(tmp_path / "notes", {"buoy.md": prose("buoy", 3), "dock.md": prose("dock")})
    second = refresh(config)
    runs = {name: row["run"] for name, row in documents(config).items()}
    assert runs == {
        "notes/anchor.md": first.run,
        "notes/buoy.md": second.run,
        "notes/chart.md": first.run,
        "notes/dock.md": second.run,
    }


def test_a_promoted_duplicate_keeps_its_own_record(tmp_path: Path) -> None:
    text = prose("anchor")
    config = configure(tmp_path, {"a.md": text, "b.md": text})
    first = refresh(config)
    before = documents(config)["notes/b.md"]
    save(tmp_path / "notes", {"a.md": None})
    refresh(config)
    after = documents(config)["notes/b.md"]
    assert (before["n_chunks"], after["n_chunks"], after["duplicate_of"]) == (0, len(rows(config)), None)
    changed = {"n_chunks", "duplicate_of"}
    assert {name: after[name] for name in after if name not in changed} == {
        name: before[name] for name in before if name not in changed
    }
    assert after["run"] == first.run


def test_a_chunk_without_a_vector_is_never_written(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor")})
    with context(config) as shared:
        done = prepared(shared, config)
        with pytest.raises(RuntimeError, match=r"contents have no vector after embedding, for example [0-9a-f]{32}"):
            write(
                shared, encoder(config), done.plan, done.reading, done.validated, Once(done.deduplicated), done.changes
            )
        assert shared.store.open(done.changes.table).count_rows() == 0
