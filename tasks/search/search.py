"""Search a release with the encoder that the release itself keeps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Literal, get_args

import polars as pl

from models.config import EncoderConfig
from models.encoder import Encoder, resolve
from storage.errors import InputError
from storage.filters import Where
from storage.reader import Hit, Reader
from storage.registry import Registry
from storage.tables.roles import RERANKER, Fusion
from tasks.search.fuse import fuse
from tasks.search.rerank import Reranking, reranking

__all__ = ["MODES", "Asked", "Mode", "Search", "read_queries"]

BATCH = 64  # queries encoded together
UNFITTED = Fusion(weight=0.25)  # for whoever asks for hybrid search of a release that had no questions to fit it

Mode = Literal["dense", "text", "hybrid"]
Asked = Literal["auto", "dense", "text", "hybrid"]
MODES: tuple[Asked, ...] = get_args(Asked)
_Sides = tuple[dict[str, float], dict[str, float]]  # chunk to its score by vectors, and by words


class Search:
    """A release and its encoder, both opened once.

    Args:
        uri: The store.
        release: The release; the current one if None.
        device: Where the encoder runs, as `encoder.device` says it.
        threads: CPU threads; torch's own choice if None.
        encoder: An encoder of the release's space that is open already; the one that the release keeps if None.
        mode: How it will be asked; for `text` no encoder is opened before a question needs one.
        rerank: Order the best hits once more, where the release has a re-ranker.

    Raises:
        InputError: There is no such release, or its tables or its encoder are no longer kept.
    """

    def __init__(
        self,
        uri: str,
        release: int | None = None,
        *,
        device: str = "auto",
        threads: int | None = None,
        encoder: Encoder | None = None,
        mode: Asked = "auto",
        rerank: bool = True,
    ) -> None:
        self.reader = Reader.open(uri, release)
        self._settings = {"device": device, "threads": threads}
        self._encoder = encoder
        self._reranks = rerank and RERANKER in self.reader.release.roles
        if mode != "text":  # what is missing is told before the first question
            _ = self.encoder, self.reranking

    @property
    def encoder(self) -> Encoder:
        """The encoder of the release."""
        if self._encoder is None:
            self._encoder = self._opened()
        return self._encoder

    @cached_property
    def reranking(self) -> Reranking | None:
        """What orders the best hits once more; None where the release has none, or none is wanted."""
        reader = self.reader
        return reranking(reader.store, reader.release, self.encoder) if self._reranks else None

    @property
    def release(self) -> int:
        """Number of the release that is searched."""
        return self.reader.release.seq

    def mode(self, asked: Asked = "auto") -> Mode:
        """How the release is searched: by both where questions showed that words help, else by vectors."""
        if asked != "auto":
            return asked
        return "hybrid" if self.reader.release.text.hybrid else "dense"

    def find(
        self, queries: Iterable[str], k: int, where: Where | None = None, mode: Asked = "auto"
    ) -> Iterator[tuple[str, list[Hit]]]:
        """Yield each query with its k best hits, in order; a blank query finds nothing.

        The score of a hit is its cosine similarity (`dense`), its BM25 (`text`), or the weighted sum of both, each
        scaled to 0 to 1 among the best of its side (`hybrid`).

        Args:
            queries: Texts; they are encoded some together.
            k: Hits a query.
            where: Column to the values that a chunk may have in it, as `Reader.search` takes it.
            mode: By vectors, by words, or by both; `auto` as `mode()` says.

        Raises:
            InputError: The encoder is of another space, `where` names a column that cannot be filtered, or the release
                has no full-text index to search by words.
        """
        waiting, how = iter(queries), self.mode(mode)
        while batch := list(islice(waiting, BATCH)):
            asked = [query for query in batch if query.strip()]
            found = iter(self._found(asked, k, where, how) if asked else [])
            for query in batch:
                yield query, next(found) if query.strip() else []

    def _found(self, asked: list[str], k: int, where: Where | None, mode: Mode) -> list[list[Hit]]:
        again = self.reranking
        wanted = k if again is None else max(k, again.depth)
        hits, sides = self._first_stage(asked, wanted, where, mode)
        if again is None:
            return hits
        return [
            again.order(*each, *scores)[:k] for each, scores in zip(zip(asked, hits, strict=True), sides, strict=True)
        ]

    def _first_stage(
        self, asked: list[str], k: int, where: Where | None, mode: Mode
    ) -> tuple[list[list[Hit]], list[_Sides]]:
        """The hits of each query, and what each side scored the chunks that it found; a re-ranker weighs both."""
        reader = self.reader
        if mode == "dense":
            hits = reader.search(self.encoder.encode_queries(asked), k, space=self.encoder.space.id, where=where)
            return hits, [({hit.chunk: hit.score for hit in each}, {}) for each in hits]
        if mode == "text":
            hits = reader.hits(reader.words(asked, k, where), len(asked))
            return hits, [({}, {hit.chunk: hit.score for hit in each}) for each in hits]
        fusion = reader.release.text.fusion or UNFITTED
        candidates = max(k, fusion.depth)
        text = reader.words(asked, candidates, where)  # first: a release without the index costs no encoder
        reader.require(self.encoder.space.id)
        dense = reader.dense(self.encoder.encode_queries(asked), candidates, where)
        fused = fuse(dense, text, fusion.weight, fusion.depth, level="id")
        hits = reader.hits(fused.filter(pl.int_range(pl.len()).over("query") < k), len(asked))
        return hits, list(zip(_by_query(dense, len(asked)), _by_query(text, len(asked)), strict=True))

    def _opened(self) -> Encoder:
        folder = Registry(self.reader.store).fetch(self.reader.release.space)
        return resolve(EncoderConfig.model_validate({"name": str(folder), **self._settings})).open()


def _by_query(ranked: pl.DataFrame, queries: int) -> list[dict[str, float]]:
    """Chunk to score, for each query."""
    found: list[dict[str, float]] = [{} for _ in range(queries)]
    for query, chunk, score in ranked.select("query", "id", "score").iter_rows():
        found[query][chunk] = score
    return found


def read_queries(file: Path) -> Iterator[str]:
    """Yield the lines of a file, one query each, without holding them all.

    Raises:
        InputError: The file cannot be read, or a line is not UTF-8.
    """
    try:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    yield line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
                except UnicodeDecodeError as error:
                    raise InputError(f"{file}, line {number}: is not UTF-8; save the queries as UTF-8") from error
    except OSError as error:
        raise InputError(f"{file}: the queries cannot be read: {error.strerror}") from error
