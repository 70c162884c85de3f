"""The `pairs` table: questions with the passage that answers each, as training saw them, bound to a data version."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Literal

import polars as pl
import pyarrow as pa

from storage.errors import TableMissing
from storage.tables.columns import key_field, strings
from storage.tables.store import Store, stream
from storage.tables.tags import tags_of

__all__ = ["PAIRS", "PairTable", "Part", "forget", "write"]

Part = Literal["train", "dev", "test"]

# `group` and `cluster` are what the split was made by; `grade` is 0 for a document that was shown and not clicked.
PAIRS = pa.schema(
    [
        key_field("id", pa.string()),
        *strings("question", "key", "source", "document", "content_hash", "passage", "kind"),
        *strings("group", "cluster", "split"),
        pa.field("grade", pa.int32()),
        pa.field("weight", pa.float32()),
        pa.field("version", pa.int64()),
        *strings("fingerprint", "run"),
    ]
)

_TABLE = "pairs"
_TAG = "data-"


class PairTable:
    """The pairs of a store, by data version.

    Each data version has a version of this table of its own, under a tag: to write the pairs of one touches no other,
    and the head holds what was written last.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    def slices(
        self,
        *,
        split: Part | None = None,
        version: int | None = None,
        columns: list[str] | None = None,
        negatives: bool = False,
        rows: int = 1_024,
    ) -> Iterator[pl.DataFrame]:
        """Read pairs in the order in which they were written, slice by slice.

        Args:
            split: Which part; all if None.
            version: Version of the documents table that the pairs were made of; the one written last if None.
            columns: Which columns; all of PAIRS if None.
            negatives: Whether documents that were shown and not clicked are among them, with grade 0.
            rows: Pairs a slice, at most.

        Raises:
            TableMissing: No pairs were made of that data version, or they are no longer kept.
        """
        table = self.store.open(_TABLE, None if version is None else f"{_TAG}{version}")
        asked = [] if negatives else ["grade > 0"]
        if split is not None:
            asked.append(f"split = '{split}'")
        for batch in stream(table, columns or PAIRS.names, rows=rows, where=" AND ".join(asked) or None):
            yield pl.DataFrame(pl.from_arrow(batch))

    def counts(self, version: int | None = None) -> dict[tuple[str, str], int]:
        """Kind and split to the number of pairs, without negatives; the arguments are those of `slices`."""
        parts = list(self.slices(version=version, columns=["kind", "split"], rows=65_536))
        if not parts:
            return {}
        found = pl.concat(parts).group_by("kind", "split").len().sort("kind", "split")
        return {(kind, split): count for kind, split, count in found.iter_rows()}

    def fingerprint(self, version: int) -> str | None:
        """What the pairs of a data version were made of; None where there are none."""
        try:
            table = self.store.open(_TABLE, f"{_TAG}{version}")
        except TableMissing:
            return None
        found = table.to_table(columns=["fingerprint"], limit=1)["fingerprint"].to_pylist()
        return found[0] if found else None


def write(store: Store, version: int, slices: Iterable[pl.DataFrame], *, fingerprint: str = "", run: str = "") -> int:
    """Write the pairs of a data version as a whole: one commit, which a tag then names.

    Killed before the tag, the data version has the pairs that it had before.

    Args:
        store: The store.
        version: Version of the documents table that the pairs were made of.
        slices: The columns of PAIRS but for the last three.
        fingerprint: What they were made of.
        run: The run that made them.

    Returns:
        The version of the pairs table.
    """
    last = [pl.lit(version, pl.Int64).alias("version"), pl.lit(fingerprint).alias("fingerprint")]
    last.append(pl.lit(run).alias("run"))

    def batches() -> Iterator[pa.RecordBatch]:
        for part in slices:
            yield from part.with_columns(last).select(PAIRS.names).to_arrow().cast(PAIRS).to_batches()

    number = store.replace(_TABLE, PAIRS, batches()).version
    tags = store.open(_TABLE).tags
    name = f"{_TAG}{version}"
    if name in tags_of(store.open(_TABLE)):
        tags.update(name, number)
    else:
        tags.create(name, number)
    return int(number)


def forget(store: Store, kept: Iterable[int], older_than: timedelta) -> int:
    """Let the pairs of data versions go that no retained release has, and free what nothing needs.

    Args:
        store: The store.
        kept: Data versions of the retained releases.
        older_than: How long ago a version of the table must have been written to be freed.

    Returns:
        How many data versions went.
    """
    table = store.find(_TABLE)
    if table is None:
        return 0
    held = {tag: int(tag.removeprefix(_TAG)) for tag in tags_of(table) if tag.startswith(_TAG)}
    gone = [tag for tag, version in held.items() if version not in set(kept)]
    for tag in gone:
        table.tags.delete(tag)
    newest = table.to_table(columns=["version"], limit=1)["version"].to_pylist()
    if newest and newest[0] not in set(kept):
        store.replace(_TABLE, PAIRS, ())  # a head is never freed: its rows would stay for good
    if gone:
        store.vacuum(_TABLE, older_than)
    return len(gone)
