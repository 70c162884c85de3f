"""Prove that tables are what the ledger says, before they are published and on demand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from models.encoder import NORM_TOLERANCE
from models.memory import trimming
from storage.counts import plural
from storage.errors import TableMissing, Unreachable, faults, words
from storage.hashing import digest
from storage.registry import Registry
from storage.tables.chunks import ChunkTable, Span
from storage.tables.documents import DocumentTable
from storage.tables.gathered import Gathered
from storage.tables.index import statistics
from storage.tables.roles import RERANKER, TEXT, Precision, Role
from storage.tables.store import Store
from storage.tables.words import text_statistics
from tasks.build.index import NIGHTS, IndexConfig
from tasks.build.recall import Probes
from tasks.release.checks import AuditResult, Check
from tasks.stage import stage

__all__ = ["BACK", "Snapshot", "audit", "examine", "examine_deeply"]

COVERAGE_FLOOR = 0.95
PASS = 16_384  # chunks that are read at once
TRIM = 0.1  # seconds between two times at which what a part of it was done with is given back
# Rounding to eleven bits moves a coordinate by a 2,048th at most, and a norm by no more than that.
NORM_TOLERANCES: dict[Precision, float] = {"float32": NORM_TOLERANCE, "float16": NORM_TOLERANCE + 2**-11}
AGAIN = "run `tidemark refresh`: it starts again from the last good release"
ANEW = "`tidemark refresh --rebuild` makes everything anew from the sources"
BACK = f"go back with `tidemark rollback` and run `tidemark refresh`; where no earlier release is whole, {ANEW}"


@dataclass(frozen=True)
class Snapshot:
    """What is audited: table versions, published or about to be.

    Attributes:
        store: The store.
        tables: Table name to version.
        roles: Role to its table, space, encoder and index.
        counts: What the run that made it counted; empty where that is not known.
        repair: What to do where the tables are wrong.
        base: Table name to version of the release that they were made from, whose files are proved by their digests:
            what lies in those is not judged again, and recall may be taken over. Empty to judge and measure everything.
    """

    store: Store
    tables: Mapping[str, int]
    roles: Mapping[str, Role]
    counts: Mapping[str, int] = field(default_factory=dict)
    repair: str = AGAIN
    base: Mapping[str, int] = field(default_factory=dict)

    @property
    def text(self) -> Role:
        """The role whose rows are held against the ledger."""
        return self.roles[TEXT]

    @property
    def chunks(self) -> ChunkTable:
        """The chunk table of the text role at its version."""
        name = str(self.text.table)
        if name not in self.tables:
            raise TableMissing(f"the release answers from table {name!r}, and names no version of it")
        return ChunkTable(self.store, name, self.tables[name])

    @property
    def documents(self) -> DocumentTable:
        """The documents table at its version."""
        return DocumentTable(self.store, self.tables["documents"])


def examine(snapshot: Snapshot, config: IndexConfig) -> AuditResult:
    """Check a state: conservation, uniqueness, vectors, index. Holds keys only.

    Whether an id stands twice is seen only where all are looked at, so every key is read, whatever is known of the
    base: a fifth of a second for 200,000 chunks. Vectors are judged where the files are new, and recall is measured
    where it was not taken over; without a base, all of them and always.
    """
    with trimming(TRIM):
        return _told(lambda: _examined(snapshot, config), snapshot)


def _told(look: Callable[[], AuditResult], snapshot: Snapshot) -> AuditResult:
    """What is found, or the one check that says that nothing could be read."""
    try:
        return look()
    except Unreachable:
        raise  # nothing is known of the tables, so nothing of how to repair them
    except TableMissing as error:
        return AuditResult(
            (Check("tables.present", ok=False, detail=f"{error}; restore the store from a backup, or {ANEW}"),)
        )
    except faults() as error:  # a file that is lost, changed or cut off
        return AuditResult((Check("tables.readable", ok=False, detail=f"{words(error)[:300]}; {snapshot.repair}"),))


def _examined(snapshot: Snapshot, config: IndexConfig) -> AuditResult:
    chunks = snapshot.chunks
    checks = [
        Check("tables.present", ok=True, detail=", ".join(f"{n} at {v}" for n, v in sorted(snapshot.tables.items()))),
        *_advised(_kept(snapshot, chunks), snapshot),
        *_advised([_vectors(chunks, snapshot)], snapshot),
        *_models(snapshot),
    ]
    recall = None
    if snapshot.text.index.text is not None:
        checks += _advised([_words(chunks)], snapshot)
    if snapshot.text.index.approximate:
        checks += _advised([_coverage(chunks)], snapshot)
        index = snapshot.text.index
        known = index.recall if snapshot.base and index.nights is not None else None
        recall = Probes.of(chunks, config.probe_queries).recall(chunks, index) if known is None else known
        checks.append(_recall(recall, config, None if known is None else index.measured))
    return AuditResult(tuple(checks), recall)


def _advised(checks: Iterable[Check], snapshot: Snapshot) -> Iterator[Check]:
    """Tell how to repair what does not hold."""
    for check in checks:
        yield check if check.ok else replace(check, detail=f"{check.detail}; {snapshot.repair}")


def _kept(snapshot: Snapshot, chunks: ChunkTable) -> Iterator[Check]:
    """Hold ledger, rows and counts against each other; both are let go before the vectors are read."""
    rows = _Rows.of(chunks)  # first: it leaves little behind
    ledger = snapshot.documents.ledger(_LEDGER)
    yield from _ledger(ledger)
    yield from _conservation(ledger, rows)
    yield from _promised(snapshot.counts, ledger.height, rows.count)


def _ledger(ledger: pl.DataFrame) -> Iterator[Check]:
    twice = ledger.height - ledger["key"].n_unique()
    yield Check("documents.unique", twice == 0, f"{ledger.height:,} keys" if not twice else f"{twice} keys twice")
    duplicates = ledger.filter(pl.col("duplicate_of").is_not_null())
    kept = ledger.filter(pl.col("duplicate_of").is_null()).select("key", "content_hash")
    # Semi, on the key that a duplicate names and on its content: one whose indexed document is gone, or holds other
    # text by now, finds no partner and is not sound.
    sound = duplicates.join(
        kept, left_on=["duplicate_of", "content_hash"], right_on=["key", "content_hash"], how="semi"
    )
    odd = duplicates.height - sound.height
    good = f"{plural(duplicates.height, 'duplicate')}, each of an indexed document with its content"
    yield Check("documents.duplicates", odd == 0, good if not odd else f"{odd} point to nothing equal")
    again = kept.height - kept["content_hash"].n_unique()
    detail = f"{kept.height:,} indexed documents" if not again else f"{again} contents indexed twice"
    yield Check("documents.content", again == 0, detail)


@dataclass(frozen=True)
class _Rows:
    """What the chunks are, document by document.

    Attributes:
        count: Chunks.
        twice: Chunks of which another has the id.
        odd: Chunks without a sound span.
        documents: 64-bit hash of the key, rows, and whether their ordinals are 0, 1, 2 and so on, one row a document.
    """

    count: int
    twice: int
    odd: int
    documents: pl.DataFrame

    @classmethod
    def of(cls, chunks: ChunkTable) -> _Rows:
        """Look at every chunk; held are 8 bytes of each, and 20 of each document.

        Two of ten million ids collide by chance once in 400,000 audits; ordinals that are not 0, 1, 2 and so on have
        the sum of hashes that those have once in 2**40.
        """
        ids, sums, odd = [np.empty(0, np.uint64)], [pl.DataFrame(schema=_SUMS)], 0
        for part in chunks.columns(["id", "key", "ordinal", "start", "end"], rows=PASS):
            ids.append(part["id"].hash().to_numpy())
            marked = part.select(pl.col("key").hash(), pl.lit(1, pl.UInt32).alias("rows"), _mark(pl.col("ordinal")))
            sums.append(_summed(marked))
            odd += part.filter(~((pl.col("start") < pl.col("end")) & (pl.col("start") >= 0))).height
        every = np.concatenate(ids)
        ids.clear()
        every.sort()
        twice = int((np.diff(every) == 0).sum())
        found = _summed(pl.concat(sums))  # a document's chunks may lie in several parts
        most = int(found["rows"].max() or 0)  # type: ignore[arg-type]
        right = pl.DataFrame({"ordinal": pl.int_range(0, most, dtype=pl.Int32, eager=True)}).select(
            rows=pl.int_range(1, most + 1, dtype=pl.UInt32), right=_mark(pl.col("ordinal")).cum_sum()
        )
        # Left, many to one: every document has as many rows as one of the sums is of.
        both = found.join(right, on="rows", how="left")
        return cls(len(every), twice, odd, both.select("key", "rows", whole=pl.col("sum") == pl.col("right")))


_LEDGER = ("key", "source", "id", "content_hash", "duplicate_of", "n_chunks")
_SUMS = pl.Schema({"key": pl.UInt64, "rows": pl.UInt32, "sum": pl.UInt64})


def _mark(ordinal: pl.Expr) -> pl.Expr:
    """Forty bits of the hash of an ordinal: sixteen million of them add up to no more than 64 hold."""
    return (ordinal.cast(pl.Int32).hash() // 2**24).alias("sum")


def _summed(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.group_by("key").agg(pl.col("rows").sum(), pl.col("sum").sum())


def _conservation(ledger: pl.DataFrame, rows: _Rows) -> Iterator[Check]:
    twice, found = rows.twice, rows.documents
    yield Check("chunks.unique", twice == 0, f"{rows.count:,} ids" if not twice else f"{twice} ids twice")
    promised = ledger.filter(pl.col("n_chunks") > 0).select(pl.col("key").hash(), "source", "id", "n_chunks")
    # Full: a document that promises rows and has none must be seen, and so must rows that no document promises.
    both = promised.join(found, on="key", how="full", coalesce=True)
    wrong = both.filter(pl.col("n_chunks").ne_missing(pl.col("rows")))
    detail = f"{plural(rows.count, 'row')}, as the ledger says"
    if wrong.height:
        first = wrong.row(0, named=True)
        detail = (
            f"{plural(wrong.height, 'document')} with other rows than the ledger says, for example "
            f"{first['source']}/{first['id']}: {first['n_chunks'] or 0} promised, {first['rows'] or 0} found"
        )
    yield Check("chunks.conserved", wrong.is_empty(), detail)
    gaps = found.height - int(found["whole"].sum())
    detail = "ordinals without gaps, spans in order"
    if gaps or rows.odd:
        detail = f"{plural(gaps, 'document')} with gaps between chunks, {rows.odd} empty spans"
    yield Check("chunks.spans", not gaps and not rows.odd, detail)


def _promised(counts: Mapping[str, int], documents: int, chunks: int) -> Iterator[Check]:
    """Hold what the run counted against what the tables have: success is an end state, not the end of a loop.

    What is held is what was listed, and beside it the documents that a source, broken in part, lists no more and that
    stay: they are in the table although nobody listed them, so the run counts them in and says how many they are.
    """
    if not counts:
        return
    parts = ("added", "changed", "moved", "unchanged", "duplicates", "quarantined")
    total = sum(counts[part] for part in parts)
    held = documents + counts["quarantined"]
    ok = counts["documents"] == total == held
    unlisted = counts.get("unlisted", 0)
    listed = f"{counts['documents'] - unlisted:,} listed" + (f" + {unlisted:,} kept unlisted" if unlisted else "")
    detail = f"{listed} = " + " + ".join(f"{counts[part]:,} {part}" for part in parts)
    yield Check("run.documents", ok, detail if ok else f"{detail}, but {held:,} are held")
    ok = counts["chunks"] == chunks == counts["embedded"] + counts["reused"]
    detail = f"{counts['chunks']:,} = {counts['embedded']:,} embedded + {counts['reused']:,} re-used"
    yield Check("run.chunks", ok, detail if ok else f"{detail}, but the table has {chunks:,}")


def _vectors(chunks: ChunkTable, snapshot: Snapshot) -> Check:
    dimension = snapshot.text.encoder.dimension
    if chunks.dimension != dimension:
        return Check("vectors.sound", False, f"dimension {chunks.dimension}, the space has {dimension}")
    precision, said = chunks.precision, snapshot.text.index.precision
    if precision != said:
        return Check("vectors.sound", False, f"kept in {precision}, the release says {said}")
    count = endless = odd = 0
    for vectors in chunks.vectors(without=snapshot.base.get(str(snapshot.text.table))):
        norms = np.linalg.norm(vectors, axis=1)
        finite = np.isfinite(norms)
        endless += int((~finite).sum())
        if snapshot.text.encoder.normalise:
            odd += int((np.abs(norms[finite] - 1) > NORM_TOLERANCES[precision]).sum())
        count += len(vectors)
    if endless or odd:
        return Check("vectors.sound", False, f"{endless} not finite, {odd} not of unit norm")
    kept = f"{dimension}" if precision == "float32" else f"{dimension} {precision}"
    others = chunks.rows - count
    older = f"; {others:,} lie in files of the release before, which was judged" if others else ""
    return Check("vectors.sound", True, f"{count:,} vectors of {kept}, finite, of unit norm{older}")


def _models(snapshot: Snapshot) -> Iterator[Check]:
    """Look for the encoder and, where there is one, for the re-ranker: without their files a search fails."""
    lacks = {TEXT: "queries cannot be embedded", RERANKER: "only `tidemark search --no-rerank` works"}
    for name, role in sorted(snapshot.roles.items(), reverse=True):
        where, check = f"models/{role.space}", "encoder" if name == TEXT else name
        kept = Registry(snapshot.store).has(role.space)
        bad = f"{where} is missing: {lacks.get(name, 'it cannot be used')}; restore the folder, or {ANEW}"
        yield Check(f"{check}.kept", kept, f"{where} is kept" if kept else bad)


def _coverage(chunks: ChunkTable) -> Check:
    stats = statistics(chunks)
    share = None if stats is None else stats.coverage
    detail = "there is no index" if share is None else f"{share:.1%} of the rows are in the index"
    return Check("index.coverage", share is not None and share >= COVERAGE_FLOOR, detail)


def _words(chunks: ChunkTable) -> Check:
    stats = text_statistics(chunks)
    share = float(not chunks.rows) if stats is None else stats.coverage  # an empty table needs no index
    return Check("text.coverage", share >= COVERAGE_FLOOR, f"{share:.1%} of the rows are in the full-text index")


def _recall(recall: float, config: IndexConfig, measured: str | None) -> Check:
    good = recall >= config.recall_floor
    detail = f"recall@10 {recall:.3f} against exact search over {config.probe_queries} probes"
    if measured is not None:
        detail += f", {measured}; again once in {NIGHTS} releases, and now by `tidemark audit`"
    if not good:
        detail += f", below index.recall_floor {config.recall_floor}; raise index.nprobes or index.refine_factor"
    return Check("index.recall", good, detail)


@stage
def audit(snapshot: Snapshot, config: IndexConfig) -> AuditResult:
    """Examine what the run is about to publish."""
    return examine(snapshot, config)


def examine_deeply(snapshot: Snapshot) -> AuditResult:
    """Check what `examine` takes on trust: every text against its hash and span, every file of the encoder."""
    return _told(lambda: _deeply(snapshot), snapshot)


def _deeply(snapshot: Snapshot) -> AuditResult:
    chunks, documents = snapshot.chunks, snapshot.documents
    wrong = texts = 0
    gathered = Gathered(chunks, documents.ledger(["key"])["key"])
    for frame in documents.slices(["key", "text", "content_hash"], rows=256):
        texts += frame.height
        hashes = pl.Series([digest(text) for text in frame["text"]])
        wrong += int((hashes != frame["content_hash"]).sum())
        wrong += _spans(gathered, frame)
    good = f"{plural(texts, 'document')}: text, hashes and spans agree"
    spaces = [role.space for role in snapshot.roles.values()]
    damage = [fault for space in spaces for fault in Registry(snapshot.store).damage(space)]
    read = Check("deep.texts", wrong == 0, good if not wrong else f"{wrong} texts do not fit their hash")
    kept = Check("deep.encoder", not damage, "; ".join(damage) or "every file of the models is as it was kept")
    return AuditResult((*_advised([read], snapshot), kept))


def _spans(chunks: Gathered, documents: pl.DataFrame) -> int:
    rows = chunks.of(documents["key"], ["key", "start", "end", "hash", "text"])
    texts = dict(documents.select("key", "text").iter_rows())
    return sum(
        Span(start, end).of(texts[key]) != text or digest(text) != content
        for key, start, end, content, text in rows.iter_rows()
    )
