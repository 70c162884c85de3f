"""List what every source has, before anything is read."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from storage.hashing import digest, document_key
from storage.sources import Source
from tasks.context import Context
from tasks.stage import stage

__all__ = ["LISTED", "Scan", "listing", "scan"]

LISTED = {
    "source": pl.String,
    "id": pl.String,
    "key": pl.String,  # of the document
    "row": pl.String,  # of this row: differs from the key for the second and later rows of one id
    "occurrence": pl.Int64,
    "revision": pl.String,
    "problem": pl.String,
}


@dataclass(frozen=True)
class Scan:
    """What the sources have.

    Attributes:
        listed: One row an item, LISTED columns.
        versions: Source to its data version: number of items, a digest over ids and revisions, and, where it left
            something out, `passed_over`: how many a reason.
    """

    listed: pl.DataFrame
    versions: dict[str, dict[str, object]]

    @property
    def counts(self) -> dict[str, int]:
        """Items a source."""
        return {name: int(str(version["documents"])) for name, version in self.versions.items()}

    @property
    def passed_over(self) -> dict[str, dict[str, int]]:
        """Source to what it left out, how many a reason; sources that left nothing out are absent."""
        found = {name: version.get("passed_over") for name, version in self.versions.items()}
        return {name: dict(counts) for name, counts in found.items() if isinstance(counts, dict)}


def listing(source: Source) -> pl.DataFrame:
    """All items of one source, LISTED columns, in the source's own order."""
    parts = []
    for part in source.list():
        keys = [document_key(source.name, item) for item in part["id"]]
        parts.append(part.select("id", "revision", "problem").with_columns(pl.Series("key", keys, dtype=pl.String)))
    if not parts:
        return pl.DataFrame(schema=LISTED)
    frame = pl.concat(parts).with_columns(
        pl.lit(source.name).alias("source"), (pl.int_range(pl.len()).over("key") + 1).alias("occurrence")
    )
    again = frame["occurrence"] > 1
    rows = frame["key"]
    if again.any():
        rows = pl.Series(
            [digest(f"{key}#{n}") if n > 1 else key for key, n in frame.select("key", "occurrence").iter_rows()],
            dtype=pl.String,
        )
    return frame.with_columns(rows.alias("row")).select(pl.col(name).cast(kind) for name, kind in LISTED.items())


@stage
def scan(context: Context) -> Scan:
    """List every source of the run."""
    frames = []
    versions: dict[str, dict[str, object]] = {}
    for source in context.sources:
        frame = listing(source)
        state = "\n".join(f"{row}\x1f{revision}" for row, revision in frame.select("row", "revision").iter_rows())
        versions[source.name] = {"documents": frame.height, "digest": digest(state)}
        # Not every source leaves things out, and one of a user's own need not know that it may say so.
        if passed := dict(getattr(source, "passed_over", None) or {}):
            versions[source.name]["passed_over"] = passed
        frames.append(frame)
        context.progress.advance(sum(f.height for f in frames), None, "documents")
    return Scan(pl.concat(frames) if frames else pl.DataFrame(schema=LISTED), versions)
