"""The shapes of the tables."""

from __future__ import annotations

import pyarrow as pa
import pytest

from storage.tables.chunks import chunks_schema
from storage.tables.documents import DOCUMENTS, LEDGER
from storage.tables.drift import DRIFT
from storage.tables.format import FORMATS
from storage.tables.lease import LEASES
from storage.tables.nights import CELLS, NIGHTS, VOCABULARY
from storage.tables.quarantine import QUARANTINE
from storage.tables.releases import RELEASES
from storage.tables.roles import chunks_table
from storage.tables.runs import RUNS
from storage.tables.vectors import vectors_schema, vectors_table

TABLES = {
    "documents": (DOCUMENTS, "key"),
    "quarantine": (QUARANTINE, "key"),
    "runs": (RUNS, "run"),
    "releases": (RELEASES, "seq"),
    "leases": (LEASES, "token"),
    "format": (FORMATS, "number"),
    "chunks": (chunks_schema(4), "id"),
    "drift": (DRIFT, "key"),
    "nights": (NIGHTS, "key"),
    "cells": (CELLS, "space"),
    "vocabulary": (VOCABULARY, "key"),
}


@pytest.mark.parametrize("name", TABLES)
def test_every_table_declares_one_key_that_is_never_null(name: str) -> None:
    schema, key = TABLES[name]
    declared = [field.name for field in schema if field.metadata == {b"lance-schema:unenforced-primary-key": b"true"}]
    assert declared == [key] == [field.name for field in schema if not field.nullable]


def test_the_ledger_is_a_part_of_the_documents() -> None:
    assert set(LEDGER) <= set(DOCUMENTS.names)


def test_spaces_have_tables_of_their_own() -> None:
    names = {make(space) for make in (chunks_table, vectors_table) for space in ("a" * 32, "b" * 32)}
    assert names == {f"{kind}__{space * 16}" for kind in ("chunks", "vectors") for space in "ab"}


def test_vectors_are_float32_of_the_dimension_of_the_space() -> None:
    wanted = pa.list_(pa.float32(), 3)
    assert chunks_schema(3).field("vector").type == wanted == vectors_schema(3).field("vector").type
