"""Cut what changed and find out which chunk rows come, go and stay."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from storage.hashing import digest
from storage.spill import Spill
from storage.tables.store import filter_in, stream
from tasks.build.chunking.cut import chunk_texts
from tasks.context import Context
from tasks.curate.deduplicate import DeduplicationResult
from tasks.curate.validate import ValidationResult
from tasks.stage import stage

__all__ = ["ChunkChanges", "chunk", "chunk_rows", "difference"]

ROWS = {
    "id": pl.String,
    "key": pl.String,
    "source": pl.String,
    "document": pl.String,
    "ordinal": pl.Int32,
    "start": pl.Int32,
    "end": pl.Int32,
    "tokens": pl.Int32,
    "hash": pl.String,
    "text": pl.String,
}
SLICE = 1_000  # documents cut at once


@dataclass
class ChunkChanges:
    """What the chunk table needs to become the next release's.

    Attributes:
        upserts: Spill of rows to write, ROWS columns: new ones and those whose span moved.
        outdated: Spill of ids to delete: rows that are gone or written again.
        dropped: Keys of documents all of whose rows go.
        sizes: key and n_chunks of every document that was cut.
        moved_rows: How many upserts only moved inside their document.
        tokens: Tokens in the upserts.
    """

    upserts: Spill
    outdated: Spill
    dropped: pl.Series
    sizes: pl.DataFrame
    moved_rows: int = 0
    tokens: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """Rows a fate."""
        return {"documents": self.sizes.height, "written": self.upserts.rows, "outdated": self.outdated.rows}

    @property
    def changes(self) -> bool:
        """Whether any row of the table changes."""
        return bool(self.upserts.rows or self.outdated.rows or len(self.dropped))


def chunk_rows(documents: pl.DataFrame, context: Context) -> pl.DataFrame:
    """Cut documents into rows without vectors.

    The id of a chunk hashes its document, its content and how often that content came before in the document: it
    survives edits elsewhere in the document, and two documents never share one.

    Args:
        documents: key, source, id, text.
        context: The run.

    Returns:
        ROWS columns, in the order of documents and spans.
    """
    rows = []
    cut = chunk_texts(documents["text"].to_list(), context.tokenizer, context.chunker, context.window)
    for (key, source, name), chunks in zip(documents.select("key", "source", "id").iter_rows(), cut, strict=True):
        seen: dict[str, int] = {}
        for one in chunks:
            content = digest(one.text)
            n = seen[content] = seen.get(content, -1) + 1
            identity = digest(f"{key}\x1f{content}\x1f{n}")
            rows.append((identity, key, source, name, one.ordinal, one.start, one.end, one.tokens, content, one.text))
    return pl.DataFrame(rows, schema=ROWS, orient="row")


def difference(new: pl.DataFrame, old: pl.DataFrame) -> tuple[pl.DataFrame, pl.Series, int]:
    """Compare the rows of some documents with what the table holds of them.

    Args:
        new: ROWS columns.
        old: id, ordinal, start, end of the rows that the table holds.

    Returns:
        The rows to write, the ids to delete (those written again among them), and how many rows only moved.
    """
    at = ["id", "ordinal", "start", "end"]
    # A row is the same only with its place, since a hit names the place: anti on all four. Both ways, `new` without
    # `old` is written and `old` without `new` deleted; a row that moved is in both, deleted and written anew.
    write = new.join(old, on=at, how="anti", maintain_order="left")
    outdated = old.join(new.select(at), on=at, how="anti", maintain_order="left")["id"]
    moved = write.join(old, on="id", how="semi").height
    return write, outdated, moved


def _documents(context: Context, wanted: pl.DataFrame, validated: ValidationResult) -> Iterator[pl.DataFrame]:
    """The documents to cut in slices: what was accepted now, then what the base release holds."""
    columns = ["key", "source", "id", "text"]
    # Semi with `wanted` in both places: duplicates have no chunks, and what has its chunks is not cut again.
    for part in validated.accepted.slices(columns):
        yield part.join(wanted, on="key", how="semi", maintain_order="left")
    if context.base is None:
        return
    accepted = validated.accepted.frame(["key"], {"key": pl.String})
    # What was not accepted now is cut from the text that the base release holds: documents that take the place of one that
    # is gone, and everything where the chunker or the encoder changed. Anti: the accepted ones were just handed on.
    rest = wanted.join(accepted, on="key", how="anti", maintain_order="left")
    if rest.is_empty():
        return
    table = context.store.open("documents", context.base.tables["documents"])
    where = filter_in("key", rest["key"]) if rest.height <= SLICE else None
    for batch in stream(table, columns, rows=SLICE, where=where):
        yield pl.DataFrame(pl.from_arrow(batch)).join(rest, on="key", how="semi", maintain_order="left")


@stage
def chunk(context: Context, deduplicated: DeduplicationResult, validated: ValidationResult) -> ChunkChanges:
    """Cut the documents that are new to the index or whose content changed, and compare with what is there."""
    ledger = context.ledger()
    indexed = deduplicated.after.filter(pl.col("duplicate_of").is_null()).select("key", "content_hash")
    before = ledger.filter(pl.col("duplicate_of").is_null()).select("key", "content_hash")
    # Anti on key and content: what is indexed now and was not, or not with this content. A stale document is indexed with
    # the content that it had, and so keeps its chunks.
    wanted = indexed if context.rebuilds else indexed.join(before, on=["key", "content_hash"], how="anti")
    # Anti on the key alone: a document that stays with other content is compared chunk by chunk below.
    gone = before.join(indexed, on="key", how="anti", maintain_order="left")["key"]
    # Semi: of what is cut, what has chunks already to compare with.
    held = before.clear() if context.rebuilds else before.join(wanted, on="key", how="semi")
    dropped = gone.clear() if context.rebuilds else gone
    out = ChunkChanges(context.workspace.spill("upserts"), context.workspace.spill("outdated"), dropped, pl.DataFrame())
    sizes = []
    done = 0
    for part in _documents(context, wanted.select("key"), validated):
        for documents in part.iter_slices(SLICE):
            rows = chunk_rows(documents, context)
            counts = rows.group_by("key").agg(pl.len().cast(pl.Int32).alias("n_chunks"))
            sizes.append(documents.select("key").join(counts, on="key", how="left").fill_null(0))
            old = _held_rows(context, documents.join(held, on="key", how="semi")["key"])
            write, outdated, moved = difference(rows, old)
            out.upserts.append(write)
            out.outdated.append(outdated.to_frame("id"))
            out.moved_rows += moved
            out.tokens += int(write["tokens"].sum())
            done += documents.height
            context.progress.advance(done, wanted.height, "documents")
    schema = {"key": pl.String, "n_chunks": pl.Int32}
    out.sizes = pl.concat(sizes) if sizes else pl.DataFrame(schema=schema)
    return out


def _held_rows(context: Context, keys: pl.Series) -> pl.DataFrame:
    """Identity and place of the rows that the base release holds of some documents."""
    columns = ["id", "ordinal", "start", "end"]
    if context.base is None or not len(keys):
        return pl.DataFrame(schema={name: ROWS[name] for name in columns})
    table = context.store.open(context.table, context.base.tables[context.table])
    found = table.scanner(columns=columns, filter=filter_in("key", keys)).to_table()
    return pl.DataFrame(pl.from_arrow(found)).cast({name: ROWS[name] for name in columns})
