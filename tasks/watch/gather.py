"""Gather the queries that other applications wrote down, answer them as the release does, and forget old ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from models.encoder import EncoderFolder
from storage.tables.chunks import ChunkTable
from storage.tables.drift import Drift
from storage.tables.index import nearest
from storage.tables.queries import Queries, Query, QueryFiles
from storage.tables.releases import Release
from storage.tables.store import Store
from tasks.search.log import SHOWN, QueriesConfig, text_kept
from tasks.stage import stage
from tasks.watch.asked import FileQueries, Line, read_files
from tasks.watch.queries import QueryFigures, measure_queries

__all__ = ["QueriesResult", "watch_queries"]


@dataclass(frozen=True)
class QueriesResult:
    """What was gathered, and what the log says.

    Attributes:
        gathered: What the files held.
        written: Queries of them that the log did not hold.
        forgotten: Queries that were too old, or too many.
        measured: The figures of the log.
    """

    gathered: FileQueries
    written: int
    forgotten: int
    measured: QueryFigures

    @property
    def counts(self) -> dict[str, int]:
        """Lines that were read, taken and broken, and queries that were written and forgotten."""
        return {**self.gathered.counts, "written": self.written, "forgotten": self.forgotten}

    @property
    def notes(self) -> tuple[str, ...]:
        """What could not be read or compared, one line each."""
        return (*self.gathered.notes, *self.measured.notes)


@stage
def watch_queries(
    store: Store, release: Release, encoder: EncoderFolder, config: QueriesConfig, base: Path, now: datetime
) -> QueriesResult:
    """Take in what other applications wrote down, measure what was asked, and forget what is old.

    The encoder is opened only where a text of a file has to be encoded; each is once.

    Args:
        store: The store; the caller holds its lease.
        release: The release that answers; one of another encoder reads no file.
        encoder: An encoder.
        config: What is kept.
        base: The folder that a relative path of the files starts from.
        now: When the night began.
    """
    queries, gathered, written = Queries(store, release.space), FileQueries(), 0
    if config.path is not None and config.log == "off":
        gathered = FileQueries(notes=("queries.path names files, but queries.log is off: none of them is read",))
    if config.path is not None and config.log != "off" and encoder.space.id == release.space:
        files = QueryFiles(store)
        gathered = read_files(config.path, base, files.all(), config.sample, now)
        # A run that was killed below has written these lines, and has not noted how far it read.
        held = set(queries.read().frame["id"]) if gathered.lines else set()
        fresh = [line for line in gathered.lines if line.id not in held]
        if fresh:
            queries.add(_answered(store, release, encoder, fresh, config), release.text.encoder.dimension)
        files.set(gathered.positions, now)
        written = len(fresh)
    oldest = now - timedelta(days=config.keep_days)
    forgotten = queries.forget(oldest, config.most)
    Drift(store).forget_texts(oldest)
    return QueriesResult(gathered, written, forgotten, measure_queries(queries.read(), release.space, now))


def _answered(
    store: Store, release: Release, encoder: EncoderFolder, lines: Sequence[Line], config: QueriesConfig
) -> list[Query]:
    texts = list(dict.fromkeys(line.text for line in lines))
    vectors = dict(zip(texts, encoder.open().encode_queries(texts), strict=True))
    chunks = ChunkTable(store, release.chunks, release.at(release.chunks))
    found = {text: _nearest(chunks, vector, release) for text, vector in vectors.items()}
    answered = []
    for line in lines:
        said, hashed = text_kept(line.text, config.log)
        near = found[line.text]
        answered.append(
            Query(
                id=line.id,
                time=line.time,
                release=release.seq,
                origin="file",
                mode="dense",
                best=1 - float(near["_distance"][0]) if near.height else None,
                k=SHOWN,
                documents=tuple(near["key"].unique(maintain_order=True)),
                clicked=line.clicked,
                text=said,
                hash=hashed,
                vector=vectors[line.text],
            )
        )
    return answered


def _nearest(chunks: ChunkTable, vector: npt.NDArray[np.float32], release: Release) -> pl.DataFrame:
    index = release.text.index if release.text.index.approximate else None
    return pl.DataFrame(pl.from_arrow(nearest(chunks, vector, SHOWN, ["key"], index)))
