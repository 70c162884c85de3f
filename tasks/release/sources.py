"""Hold a release against its sources: has any document changed that claims to be unchanged?"""

from __future__ import annotations

import polars as pl

from storage.counts import plural
from storage.tables.shortlist import Shortlist
from tasks.context import Context
from tasks.ingest.read import identified
from tasks.ingest.scan import scan
from tasks.release.checks import Check

__all__ = ["examine_sources"]


def examine_sources(context: Context) -> Check:
    """Read every document and compare its hash: catches an edit that left size, times and inode as they were."""
    ledger = Shortlist(context.ledger().select("key", "content_hash", "revision"), "key")
    listed = scan(context).listed
    stale = 0
    for source in context.sources:
        mine = listed.filter((pl.col("source") == source.name) & pl.col("problem").is_null())
        keys = Shortlist(mine.select("id", "key"), "id")
        for part in source.read(mine["id"].unique(maintain_order=True)):
            # Inner on id: a document may be read that was not listed. Inner on key and revision: one that says that it
            # is another than in the ledger is no secret edit, but work for the next refresh.
            keyed = identified(part, context.redactions).join(keys.of(part["id"]), on="id", how="inner")
            held = ledger.of(keyed["key"])
            both = keyed.join(held, on=["key", "revision"], how="inner", suffix="_held")
            stale += both.filter(pl.col("content_hash") != pl.col("content_hash_held")).height
    detail = "every document that claims to be unchanged is"
    if stale:
        detail = f"{plural(stale, 'document')} changed without a new revision; touch them and run `tidemark refresh`"
    return Check("deep.sources", stale == 0, detail)
