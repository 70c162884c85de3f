"""Two ledgers compared."""

from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from storage.diff import compare

Rows = dict[str, tuple[str, str]]


def ledger(rows: Rows) -> pl.DataFrame:
    names = ["key", "source", "id", "content_hash", "record_hash"]
    return pl.DataFrame(
        [(f"k-{name}", "notes", name, content, record) for name, (content, record) in rows.items()],
        schema=dict.fromkeys(names, pl.String),
        orient="row",
    )


def test_documents_are_sorted_into_kinds() -> None:
    before = ledger(
        {"same": ("1", "a"), "edited": ("2", "a"), "retitled": ("3", "a"), "old": ("4", "a"), "gone": ("5", "a")}
    )
    after = ledger(
        {"same": ("1", "a"), "edited": ("9", "a"), "retitled": ("3", "b"), "new": ("4", "a"), "fresh": ("6", "a")}
    )
    found = compare(before, after)
    assert {name: [row["document"] for row in rows] for name, rows in found.items()} == {
        "added": ["fresh"],
        "changed": ["edited"],
        "metadata": ["retitled"],
        "moved": ["new"],
        "removed": ["gone"],
    }
    assert found["moved"][0]["before"] == {"source": "notes", "document": "old"}


def test_each_removed_document_is_paired_with_one_added() -> None:
    found = compare(ledger({"a": ("1", "x")}), ledger({"b": ("1", "x"), "c": ("1", "x")}))
    assert [row["document"] for row in found["moved"]] == ["b"]
    assert [row["document"] for row in found["added"]] == ["c"]
    assert found["removed"] == []


corpora = st.dictionaries(st.sampled_from("abcdefgh"), st.tuples(st.sampled_from("123"), st.sampled_from("xy")))


@given(corpora, corpora)
def test_every_document_is_told_once(before: Rows, after: Rows) -> None:
    found = compare(ledger(before), ledger(after))
    counts = {name: len(rows) for name, rows in found.items()}
    both = before.keys() & after.keys()
    assert counts["added"] + counts["moved"] == len(after.keys() - before.keys())
    assert counts["removed"] + counts["moved"] == len(before.keys() - after.keys())
    assert counts["changed"] + counts["metadata"] == sum(before[name] != after[name] for name in both)


@given(corpora)
def test_a_release_does_not_differ_from_itself(rows: Rows) -> None:
    assert not any(compare(ledger(rows), ledger(rows)).values())
