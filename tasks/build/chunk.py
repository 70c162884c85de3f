"""Cut what changed and find out which chunk rows come, go and stay."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import polars as pl

from models.encoder import EncoderFolder, TextTokenizer
from models.space import Space
from models.text.refuse import room_taken
from storage.hashing import digest
from storage.spill import Spill
from storage.tables.chunks import PLACE, UNITS, ChunkTable
from storage.tables.documents import DocumentTable
from storage.tables.gathered import Gathered
from storage.tables.roles import Precision, chunks_table
from storage.tables.shortlist import Shortlist
from tasks.build.chunking.cut import ChunkerConfig, chunk_texts, fingerprint
from tasks.context import Context
from tasks.curate.deduplicate import DeduplicationResult
from tasks.curate.validate import ValidationResult
from tasks.stage import stage

__all__ = ["ChunkChanges", "Cutter", "chunk", "chunk_rows", "difference", "rechunks_all"]

ROWS = {
    "id": pl.String,
    "key": pl.String,
    "source": pl.String,
    "document": pl.String,
    "ordinal": pl.Int32,
    "start": pl.Int32,
    "end": pl.Int32,
    "unit": pl.String,
    "tokens": pl.Int32,
    "hash": pl.String,
    "text": pl.String,
}
SIZES = {"key": pl.String, "n_chunks": pl.Int32}
SLICE = 1_000  # documents cut at once
UNLIMITED = 1_000_000  # tokens of a chunk for an encoder without a window: more than any text that is embedded


@dataclass(frozen=True)
class Cutter:
    """The chunker with the tokenizer that counts for it.

    Attributes:
        config: Its parameters, as configured.
        tokenizer: The encoder's tokenizer.
        window: Tokens that a chunk may have.
    """

    config: ChunkerConfig
    tokenizer: TextTokenizer
    window: int

    @classmethod
    def of(cls, config: ChunkerConfig, tokenizer: TextTokenizer, space: Space) -> Cutter:
        """The cutter for an encoder: two special tokens go off its window, and the prompt that each chunk gets."""
        room = space.window - 2 - room_taken(tokenizer, space.document_prompt)
        return cls(config, tokenizer, room if space.window else UNLIMITED)

    @property
    def fingerprint(self) -> str:
        """Identity of all that decides which chunks a text gives."""
        return fingerprint(self.config, self.tokenizer.digest, self.window)


@dataclass(frozen=True)
class ChunkChanges:
    """What the chunk table needs to become the next release's.

    Attributes:
        table: Name of the chunk table, that of the encoder's space in the precision.
        fingerprint: Identity of the chunker with the encoder's tokenizer and window.
        rechunks_all: Whether every document is cut anew, so that no row of the table stays.
        upserts: Spill of rows to write, ROWS columns: new ones and those whose span moved.
        outdated: Spill of ids to delete: rows that are gone or written again.
        dropped: Keys of documents all of whose rows go.
        sizes: Spill of SIZES columns: every document that was cut, and in how many chunks.
        moved_rows: How many upserts only moved inside their document.
        tokens: Tokens in the upserts.
        precision: In what the table keeps vectors.
    """

    table: str
    fingerprint: str
    rechunks_all: bool
    upserts: Spill
    outdated: Spill
    dropped: pl.Series
    sizes: Spill
    moved_rows: int = 0
    tokens: int = 0
    precision: Precision = "float32"

    @property
    def counts(self) -> dict[str, int]:
        """Rows a fate."""
        return {"documents": self.sizes.rows, "written": self.upserts.rows, "outdated": self.outdated.rows}

    def cut(self) -> pl.DataFrame:
        """SIZES of every document that was cut; read anew, for it is large and asked for seldom."""
        return self.sizes.frame(list(SIZES), SIZES)

    @property
    def changes(self) -> bool:
        """Whether any row of the table changes."""
        return bool(self.upserts.rows or self.outdated.rows or len(self.dropped))


def chunk_rows(documents: pl.DataFrame, cutter: Cutter) -> pl.DataFrame:
    """Cut documents into rows without vectors.

    The id of a chunk hashes its document, its content and how often that content came before in the document: it
    survives edits elsewhere in the document, and two documents never share one.

    Args:
        documents: key, source, id, text.
        cutter: Cuts texts.

    Returns:
        ROWS columns, in the order of documents and spans.
    """
    rows = []
    cut = chunk_texts(documents["text"].to_list(), cutter.tokenizer, cutter.config, cutter.window)
    for (key, source, name), chunks in zip(documents.select("key", "source", "id").iter_rows(), cut, strict=True):
        seen: dict[str, int] = {}
        for one in chunks:
            content = digest(one.text)
            n = seen[content] = seen.get(content, -1) + 1
            identity = digest(f"{key}\x1f{content}\x1f{n}")
            place = (one.ordinal, one.start, one.end, UNITS[0])
            rows.append((identity, key, source, name, *place, one.tokens, content, one.text))
    return pl.DataFrame(rows, schema=ROWS, orient="row")


def difference(new: pl.DataFrame, old: pl.DataFrame) -> tuple[pl.DataFrame, pl.Series, int]:
    """Compare the rows of some documents with what the table holds of them.

    Args:
        new: ROWS columns.
        old: id, ordinal, start, end of the rows that the table holds.

    Returns:
        The rows to write, the ids to delete (those written again among them), and how many rows only moved.
    """
    # A row is the same only with its place, since a hit names the place: anti on all four. Both ways, `new` without
    # `old` is written and `old` without `new` deleted; a row that moved is in both, deleted and written anew.
    write = new.join(old, on=PLACE, how="anti", maintain_order="left")
    outdated = old.join(new.select(PLACE), on=PLACE, how="anti", maintain_order="left")["id"]
    moved = write.join(old, on="id", how="semi").height
    return write, outdated, moved


def _documents(context: Context, wanted: pl.DataFrame, validated: ValidationResult) -> Iterator[pl.DataFrame]:
    """The documents to cut in slices: what was accepted now, then what the base release holds."""
    columns = ["key", "source", "id", "text"]
    # Semi with `wanted` in both places: duplicates have no chunks, and what has its chunks is not cut again.
    shortlist = Shortlist(wanted, "key")
    for part in validated.accepted.slices(columns):
        yield part.join(shortlist.of(part["key"]), on="key", how="semi", maintain_order="left")
    del shortlist
    if context.base is None:
        return
    accepted = validated.accepted.frame(["key"], {"key": pl.String})
    # What was not accepted now is cut from the text that the base release holds: documents that take the place of one
    # that is gone, and everything where the chunker or the encoder changed. Anti: the accepted were just handed on.
    rest = wanted.join(accepted, on="key", how="anti", maintain_order="left")
    if rest.is_empty():
        return
    held = DocumentTable(context.store, context.base.tables["documents"])
    yield from held.slices(columns, rows=SLICE, keys=rest["key"])


def rechunks_all(context: Context, table: str, fingerprint: str) -> bool:
    """Whether every document is cut anew: another table or chunker, nothing published yet, or asked for.

    Args:
        context: The run.
        table: The chunk table of the encoder's space.
        fingerprint: Identity of the chunker with the encoder's tokenizer and window.
    """
    if context.base is None or context.rebuild:
        return True
    cut = {role.table: role.chunker for role in context.base.roles.values()}
    return cut.get(table) != fingerprint


@stage
def chunk(
    context: Context,
    encoder: EncoderFolder,
    config: ChunkerConfig,
    deduplicated: DeduplicationResult,
    validated: ValidationResult,
    precision: Precision = "float32",
    table: str | None = None,
) -> ChunkChanges:
    """Cut the documents that are new to the index or whose content changed, and compare with what is there.

    Args:
        context: The run.
        encoder: What they are cut for.
        config: How.
        deduplicated: What the next release holds.
        validated: What was accepted now.
        precision: In what the chunk table keeps vectors.
        table: The chunk table; the encoder's own in that precision if None.
    """
    cutter = Cutter.of(config, encoder.tokenizer(), encoder.space)
    table = table or chunks_table(encoder.space.id, precision)
    anew = rechunks_all(context, table, cutter.fingerprint)
    # `indexed`: what the next release gives chunks to; `before`: what the base release gives chunks to.
    indexed = deduplicated.after.filter(pl.col("duplicate_of").is_null()).select("key", "content_hash")
    before = context.ledger().filter(pl.col("duplicate_of").is_null()).select("key", "content_hash")
    # Anti on key and content: what is indexed now and was not, or not with this content. A stale document is indexed
    # with the content that it had, and so keeps its chunks.
    wanted = indexed if anew else indexed.join(before, on=["key", "content_hash"], how="anti")
    # Anti on the key alone: a document that stays with other content is compared chunk by chunk below.
    gone = before.join(indexed, on="key", how="anti", maintain_order="left")["key"]
    # Only documents that had chunks can leave outdated ones; where all are cut anew, `write` empties the table.
    known = before.clear() if anew else before.join(wanted, on="key", how="semi")
    held, rows_of = Shortlist(known, "key"), _held_rows(context, table, known["key"])
    # The spills are this table's own: a run may cut for two encoders.
    upserts, outdated, sizes = (context.workspace.spill(f"{name}-{table}") for name in ("upserts", "outdated", "sizes"))
    done = moved = tokens = 0
    for part in _documents(context, wanted.select("key"), validated):
        for documents in part.iter_slices(SLICE):
            rows = chunk_rows(documents, cutter)
            counts = rows.group_by("key").agg(pl.len().cast(pl.Int32).alias("n_chunks"))
            # A document without visible characters has no row: it counts as one of no chunks.
            sizes.append(documents.select("key").join(counts, on="key", how="left").fill_null(0))
            old = documents.join(held.of(documents["key"]), on="key", how="semi")["key"]
            write, obsolete, shifted = difference(rows, rows_of(old))
            upserts.append(write)
            outdated.append(obsolete.to_frame("id"))
            moved += shifted
            tokens += int(write["tokens"].sum())
            done += documents.height
            context.progress.advance(done, wanted.height, "documents")
    dropped = gone.clear() if anew else gone
    return ChunkChanges(
        table,
        cutter.fingerprint,
        anew,
        upserts,
        outdated,
        dropped,
        sizes,
        moved_rows=moved,
        tokens=tokens,
        precision=precision,
    )


def _held_rows(context: Context, table: str, keys: pl.Series) -> Callable[[pl.Series], pl.DataFrame]:
    """What gives identity and place of the rows that the base release holds of some of these documents."""
    schema = pl.Schema({name: ROWS[name] for name in PLACE})
    if context.base is None or keys.is_empty():
        return lambda some: pl.DataFrame(schema=schema)
    gathered = Gathered(ChunkTable(context.store, table, context.base.tables[table]), keys)
    return lambda some: gathered.of(some, PLACE).cast(schema)
