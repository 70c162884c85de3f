"""Search a release with the encoder that the release itself keeps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from models.config import EncoderConfig
from models.encoder import Encoder, resolve
from storage.errors import InputError
from storage.filters import Where
from storage.reader import Hit, Reader
from storage.registry import Registry
from tasks.search.rerank import reranking

__all__ = ["Search", "read_queries"]

BATCH = 64  # queries encoded together


class Search:
    """A release and its encoder, both opened once.

    Args:
        uri: The store.
        release: The release; the current one if None.
        device: Where the encoder runs, as `encoder.device` says it.
        threads: CPU threads; torch's own choice if None.
        encoder: An encoder of the release's space that is open already; the one that the release keeps if None.
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
        rerank: bool = True,
    ) -> None:
        self.reader = Reader.open(uri, release)
        if encoder is None:
            folder = Registry(self.reader.store).fetch(self.reader.release.space)
            encoder = resolve(
                EncoderConfig.model_validate({"name": str(folder), "device": device, "threads": threads})
            ).open()
        self.encoder = encoder
        self.reranking = reranking(self.reader.store, self.reader.release, encoder) if rerank else None

    @property
    def release(self) -> int:
        """Number of the release that is searched."""
        return self.reader.release.seq

    def find(self, queries: Iterable[str], k: int, where: Where | None = None) -> Iterator[tuple[str, list[Hit]]]:
        """Yield each query with its k best hits, in order; a blank query finds nothing.

        Args:
            queries: Texts; they are encoded some together.
            k: Hits a query.
            where: Column to the values that a chunk may have in it, as `Reader.search` takes it.

        Raises:
            InputError: The encoder is of another space, or `where` names a column that cannot be filtered.
        """
        waiting = iter(queries)
        while batch := list(islice(waiting, BATCH)):
            asked = [query for query in batch if query.strip()]
            found: Iterator[list[Hit]] = iter(())
            if asked:
                vectors = self.encoder.encode_queries(asked)
                depth = k if self.reranking is None else max(k, self.reranking.depth)
                found = iter(self.reader.search(vectors, depth, space=self.encoder.space.id, where=where))
            for query in batch:
                hits = next(found) if query.strip() else []
                yield query, hits if self.reranking is None else self.reranking.order(query, hits)[:k]


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
