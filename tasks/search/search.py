"""Search a release with the encoder that the release itself keeps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import islice
from pathlib import Path

from models.config import EncoderConfig
from models.encoder import Encoder, resolve
from models.text.few import open_few
from storage.errors import InputError
from storage.filters import Where
from storage.reader import Hit, Reader
from storage.registry import Registry
from storage.tables.roles import RERANKER
from tasks.search.log import QueryLog
from tasks.search.rerank import Reranking, reranking
from tasks.search.stage import MODES, Answers, Asked, Mode, answers, mode_of

__all__ = ["MODES", "Asked", "Mode", "Search", "read_queries"]

BATCH = 64  # queries encoded together


class Search:
    """A release and its encoder, both opened once.

    Args:
        uri: The store.
        release: The release; the current one if None.
        device: Where the encoder runs, as `encoder.device` says it.
        threads: CPU threads; torch's own choice if None.
        encoder: An encoder of the release's space that is open already; the one that the release keeps if None.
        mode: How it will be asked; for `text` no encoder is opened before a re-ranker or a question needs one.
        rerank: Order the best hits once more, where the release has a re-ranker.
        log: Where what is asked is written down; nowhere if None.

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
        log: QueryLog | None = None,
    ) -> None:
        self.reader = Reader.open(uri, release)
        self._settings = {"device": device, "threads": threads}
        self._encoder = encoder
        self._log = log
        self._reranks = rerank and RERANKER in self.reader.release.roles
        if mode != "text":
            _ = self.encoder
        _ = self.reranking  # what is missing is told before the first question

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
        return reranking(reader.store, reader.release, lambda: self.encoder) if self._reranks else None

    @property
    def release(self) -> int:
        """Number of the release that is searched."""
        return self.reader.release.seq

    def mode(self, asked: Asked = "auto") -> Mode:
        """How the release is searched: by both where questions showed that words help, else by vectors."""
        return mode_of(self.reader.release, asked)

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
            InputError: The encoder is of another space, `where` names a column that cannot be filtered, the release
                has no full-text index to search by words, or a query holds half of a surrogate pair, which is no text.
        """
        waiting, how = iter(queries), self.mode(mode)
        while batch := list(islice(waiting, BATCH)):
            for query in batch:
                _require_text(query)
            asked = [query for query in batch if query.strip()]
            found = iter(self._found(asked, k, where, how) if asked else [])
            for query in batch:
                yield query, next(found) if query.strip() else []

    def _found(self, asked: list[str], k: int, where: Where | None, mode: Mode) -> list[list[Hit]]:
        again = self.reranking
        if again is None:
            first = answers(self.reader, lambda: self.encoder, asked, k, where, mode)
            return self._logged(asked, k, mode, first, first.hits)
        wanted = max(k, again.depth)
        first = answers(self.reader, lambda: self.encoder, asked, wanted, where, mode, weighed=again.reranker.sides)
        both = zip(asked, first.hits, first.sides, strict=True)
        return self._logged(
            asked, k, mode, first, [again.order(query, hits, *sides)[:k] for query, hits, sides in both]
        )

    def _logged(self, asked: list[str], k: int, mode: Mode, first: Answers, found: list[list[Hit]]) -> list[list[Hit]]:
        """Write down what was asked and what it found, where that is wanted; it costs a search no waiting."""
        if self._log is not None:
            self._log.note(self.reader.release, mode, k, asked, found, first)
        return found

    def _opened(self) -> Encoder:
        folder = Registry(self.reader.store).fetch(self.reader.release.space)
        found = resolve(EncoderConfig.model_validate({"name": str(folder), **self._settings}))
        return open_few(found)


def _require_text(query: str) -> None:
    try:
        query.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{query[:80]!r} cannot be asked: {query[error.start]!r} is half of a character") from error


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
