"""The documents table: written, read in slices, and taken back."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from storage.errors import TableMissing
from storage.hashing import document_key
from storage.tables import documents
from storage.tables.documents import DOCUMENTS, EMPTY_LEDGER, LEDGER, DocumentTable
from storage.tables.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def rows(*names: str) -> pl.DataFrame:
    full = [
        dict.fromkeys(DOCUMENTS.names)
        | {"key": document_key("notes", name), "source": "notes", "id": name, "title": name.upper(), "text": f"{name}."}
        for name in names
    ]
    frame = pl.DataFrame(pl.from_arrow(DOCUMENTS.empty_table()))
    return pl.concat([frame, pl.DataFrame(full, schema=frame.schema)])


def fill(store: Store, *names: str) -> DocumentTable:
    documents.append(store, [rows(name).with_columns(cause=pl.lit("new")) for name in names])
    return DocumentTable(store)


def keys(*names: str) -> pl.Series:
    return pl.Series("key", [document_key("notes", name) for name in names], dtype=pl.String)


def test_the_ledger_is_a_part_of_the_documents() -> None:
    assert set(LEDGER) <= set(DOCUMENTS.names)


def test_the_ledger_has_every_document_and_the_types_of_an_empty_one(store: Store) -> None:
    ledger = fill(store, "a", "b").ledger()
    assert (ledger.schema, ledger["id"].to_list()) == (EMPTY_LEDGER.schema, ["a", "b"])
    assert DocumentTable(store).ledger(["id", "n_chunks"]).columns == ["id", "n_chunks"]


@pytest.mark.parametrize("filtered", [0, 10])
def test_documents_are_read_in_slices_by_a_filter_and_by_a_scan(
    store: Store, monkeypatch: pytest.MonkeyPatch, filtered: int
) -> None:
    monkeypatch.setattr(documents, "FILTERED", filtered)
    table = fill(store, "a", "b", "c")
    whole = pl.concat(table.slices(rows=2))
    assert (whole.columns, whole["text"].to_list()) == (DOCUMENTS.names, ["a.", "b.", "c."])
    some = pl.concat(table.slices(["key", "id"], keys=keys("c", "a", "none")))
    assert some["id"].to_list() == ["a", "c"]


def test_titles_and_facts_are_told_by_key(store: Store) -> None:
    table = fill(store, "a", "b")
    assert table.titles(keys("b", "none")) == {document_key("notes", "b"): "B"}
    assert table.titles([]) == {}
    facts = table.facts(document_key("notes", "a"))
    assert (facts["id"], facts["title"], "text" in facts) == ("a", "A", False)
    with pytest.raises(KeyError):
        table.facts(document_key("notes", "none"))


def test_a_table_goes_back_to_a_version_or_to_nothing(store: Store) -> None:
    before = fill(store, "a")
    fill(store, "b")
    assert documents.delete(store, keys("a", "none")) == 1
    documents.reset(store, before.version)
    assert DocumentTable(store).ledger()["id"].to_list() == ["a"]
    documents.reset(store, None)
    assert DocumentTable(store).rows == 0
    with pytest.raises(TableMissing, match="at version 99"):
        DocumentTable(store, 99)
