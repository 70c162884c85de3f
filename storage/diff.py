"""Compare two releases: which documents differ, and what else made them differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from storage.pinned import Pinned

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Difference", "between", "compare", "diff"]

COLUMNS = ["key", "source", "id", "content_hash", "record_hash"]
FACTS = ("space", "chunker", "code", "config")


@dataclass(frozen=True)
class Difference:
    """What release `b` has that `a` has not, and the other way round.

    Attributes:
        a: Number of the first release.
        b: Number of the second.
        added: Documents that only `b` has: source and document.
        changed: Documents whose content differs.
        metadata: Documents whose title or metadata alone differ.
        moved: Documents that have another id or source in `b`: source, document, and `before`.
        removed: Documents that only `a` has.
        facts: What differs beside the documents (space, chunker, `code.library`, `config.section.key`): both values.
    """

    a: int
    b: int
    added: list[dict[str, Any]]
    changed: list[dict[str, Any]]
    metadata: list[dict[str, Any]]
    moved: list[dict[str, Any]]
    removed: list[dict[str, Any]]
    facts: dict[str, tuple[Any, Any]]

    @property
    def counts(self) -> dict[str, int]:
        """Documents a kind of difference."""
        return {name: len(getattr(self, name)) for name in ("added", "changed", "metadata", "moved", "removed")}

    def to_dict(self) -> dict[str, Any]:
        """The difference as JSON-able values."""
        lists = {name: getattr(self, name) for name in self.counts}
        return {"a": self.a, "b": self.b, "counts": self.counts, **lists, "facts": self.facts}


def diff(uri: str, a: int, b: int) -> Difference:
    """Compare two releases of a store.

    Args:
        uri: The store.
        a: Number of one release.
        b: Number of the other.

    Raises:
        InputError: There is no such release, or it is no longer kept.
    """
    return between(Pinned.open(uri, a), Pinned.open(uri, b))


def between(first: Pinned, second: Pinned) -> Difference:
    """Compare two releases that are open already."""
    documents = compare(first.documents.ledger(COLUMNS), second.documents.ledger(COLUMNS))
    before, after = first.release.to_dict(), second.release.to_dict()
    facts: dict[str, tuple[Any, Any]] = {}
    for fact in FACTS:
        ours, theirs = _flat(before.get(fact) or {}, fact), _flat(after.get(fact) or {}, fact)
        for name in sorted({*ours, *theirs}):
            if ours.get(name) != theirs.get(name):
                facts[name] = (ours.get(name), theirs.get(name))
    return Difference(a=first.release.seq, b=second.release.seq, **documents, facts=facts)


def compare(before: pl.DataFrame, after: pl.DataFrame) -> dict[str, list[dict[str, Any]]]:
    """Sort the documents of two ledgers into added, changed, metadata, moved and removed.

    A document is moved when a removed and an added one have the same content; each is paired once, in order of id.

    Args:
        before: key, source, id, content_hash and record_hash of one release.
        after: The same of the other.
    """
    import polars as pl

    # Inner: documents that both releases hold under one key; anti, both ways: those that only one of them holds.
    both = after.join(before, on="key", how="inner", suffix="_was")
    content = pl.col("content_hash") != pl.col("content_hash_was")
    record = pl.col("record_hash") != pl.col("record_hash_was")
    gone = _numbered(before.join(after, on="key", how="anti"))
    new = _numbered(after.join(before, on="key", how="anti"))
    pair = ["content_hash", "turn"]
    # What came and what went pair one to one by content and turn; whatever finds no partner is added or removed.
    moved = new.join(gone, on=pair, how="inner", suffix="_was")
    return {
        "added": _named(new.join(gone, on=pair, how="anti")),
        "changed": _named(both.filter(content)),
        "metadata": _named(both.filter(~content & record)),
        "moved": [
            {
                "source": row["source"],
                "document": row["id"],
                "before": {"source": row["source_was"], "document": row["id_was"]},
            }
            for row in moved.sort("source", "id").to_dicts()
        ],
        "removed": _named(gone.join(new, on=pair, how="anti")),
    }


def _numbered(documents: pl.DataFrame) -> pl.DataFrame:
    """Number the documents of equal content, so that each is paired with one other."""
    import polars as pl

    return documents.sort("source", "id").with_columns(pl.int_range(pl.len()).over("content_hash").alias("turn"))


def _named(documents: pl.DataFrame) -> list[dict[str, Any]]:
    """List source and document, sorted."""
    return documents.sort("source", "id").select("source", document="id").to_dicts()


def _flat(value: Any, name: str) -> dict[str, Any]:
    """Flatten nested settings to dotted names; a list of named things goes by their names."""
    if isinstance(value, list) and all(isinstance(item, Mapping) and "name" in item for item in value):
        value = {str(item["name"]): item for item in value}
    if not isinstance(value, Mapping):
        return {name: value}
    return {at: inner for key, held in value.items() for at, inner in _flat(held, f"{name}.{key}").items()}
