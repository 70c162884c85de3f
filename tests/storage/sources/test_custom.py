"""Sources of the user's own, which may do anything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest

from storage.errors import SourceFailed
from storage.sources.custom import CheckedSource, called
from tasks.ingest.read import readings
from tasks.ingest.scan import listing

IDS = ["a", "b", "c"]


class Own:
    """Lists and reads three documents, but for what it is told to do otherwise."""

    name = "another"

    def __init__(self, listed: dict[str, Any] | None = None, read: dict[str, Any] | None = None) -> None:
        self.listed: Any = {"id": IDS, "revision": ["1"] * 3, "problem": [None] * 3} | (listed or {})
        self.changes = read or {}
        self.after: Any = None

    def list(self) -> Iterator[pl.DataFrame]:
        yield pl.DataFrame(self.listed)

    def read(self, ids: pl.Series) -> Iterator[Any]:
        many = len(ids)
        plain: dict[str, Any] = {name: [None] * many for name in ("title", "licence", "timestamp", "problem")}
        plain |= {"id": ids, "text": [f"The tide of {name}." for name in ids], "metadata": ["{}"] * many}
        plain |= {"queries": [[]] * many, "revision": ["1"] * many}
        changed = {name: [values[0], *plain[name][1:]] for name, values in self.changes.items()}
        yield pl.DataFrame(plain | changed)
        if self.after is not None:
            yield self.after() if callable(self.after) else self.after


def checked(source: Own) -> CheckedSource:
    return CheckedSource(source, "mine", "own:Own")


def told(source: Own) -> dict[str, str | None]:
    """What becomes of each row that is listed."""
    wrapped = checked(source)
    rows = pl.concat(list(readings(wrapped, listing(wrapped))), how="diagonal")
    return {f"{id}{occurrence}": problem for id, occurrence, problem in rows[["id", "occurrence", "problem"]].rows()}


def test_every_row_of_a_listing_is_counted_whatever_it_lacks() -> None:
    assert told(Own()) == {"a1": None, "b1": None, "c1": None}
    assert told(Own({"id": [1, 2, 3]})) == {"11": None, "21": None, "31": None}
    assert told(Own({"id": ["a", None, " "], "revision": [None, "1", "1"]})) == {
        "a1": "id a has no revision: give one that changes with the document",
        "mine#R21": "row 2 of list() has no id: give each document a unique one",
        "mine#R31": "row 3 of list() has no id: give each document a unique one",
    }
    assert told(Own({"id": ["a", "b", "a"]})) == {
        "a1": None,
        "b1": None,
        "a2": "id a is listed 2 times and read fewer: the first stands",
    }


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"text": [None]}, "id a: read(ids) gave no text"),
        ({"metadata": ["not json"]}, "id a: read(ids) gave metadata that are no JSON object"),
        ({"metadata": ["[1]"]}, "id a: read(ids) gave metadata that are no JSON object"),
        ({"metadata": [None]}, None),
        ({"queries": [None]}, None),
    ],
)
def test_a_document_that_is_wrong_costs_itself(change: dict[str, Any], why: str | None) -> None:
    assert told(Own(read=change)) == {"a1": why, "b1": None, "c1": None}


def test_a_document_without_a_revision_has_the_listed_one() -> None:
    source = Own({"revision": ["4", "5", "6"]})
    source.read = lambda ids: iter([pl.DataFrame({"id": ids, "text": [f"The tide of {id}." for id in ids]})])  # type: ignore[method-assign]
    wrapped = checked(source)
    (frame,) = readings(wrapped, listing(wrapped))
    assert frame.select("id", "revision", "title", "metadata", "queries", "problem").rows() == [
        (id, revision, None, "{}", [], None) for id, revision in zip(IDS, ("4", "5", "6"), strict=True)
    ]


def raising(error: BaseException) -> Any:
    def after() -> None:
        raise error

    return after


@pytest.mark.parametrize(
    ("after", "what"),
    [
        (raising(TimeoutError("slow")), r"own:Own.read\(ids\) failed after 3 of 3 ids: TimeoutError: slow"),
        (raising(SystemExit(0)), r"own:Own.read\(ids\) asked to leave with sys.exit\(0\) after 3 of 3 ids"),
        ([1], r"own:Own.read\(ids\) gave a list after 3 of 3 ids; yield polars data frames"),
        (lambda: None, r"own:Own.read\(ids\) gave a NoneType"),
        (pl.DataFrame({"id": ["a"]}), r"a frame of own:Own.read\(ids\) has no column 'text'; its columns: id"),
    ],
)
def test_a_fault_names_source_and_call(after: Any, what: str) -> None:
    source = Own()
    source.after = after
    with pytest.raises(SourceFailed, match=f"source 'mine': {what}"):
        told(source)


def test_a_fault_names_the_id_that_was_to_come() -> None:
    with pytest.raises(
        SourceFailed, match=r"read\(ids\) failed after 0 of 3 ids, the first id .* is 'a': UnicodeEncode"
    ):
        told(Own(read={"text": ["\ud800"]}))
    with pytest.raises(SourceFailed, match=r"list\(\) has no column 'revision'; its columns: id, problem"):
        source = Own()
        del source.listed["revision"]
        told(source)
    with pytest.raises(SourceFailed, match="has the column 'timestamp' as String; it must be Datetime"):
        told(Own(read={"timestamp": ["soon"]}))


def test_a_class_that_cannot_be_made_is_named() -> None:
    with pytest.raises(SourceFailed, match="source 'mine': own:Own failed: KeyError: 'x'"), called("mine", "own:Own"):
        raise KeyError("x")
