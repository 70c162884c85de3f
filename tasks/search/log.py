"""The log of queries: readers note what they are asked, and a thread of theirs appends it to the store."""

from __future__ import annotations

import atexit
import logging
import random
import secrets
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self, TypeAlias

from storage.errors import faults
from storage.hashing import digest, document_key
from storage.tables.queries import Queries, Query
from storage.tables.roles import EncoderRecord
from storage.tables.store import Store
from tasks.search.config import Kept, QueriesConfig

if TYPE_CHECKING:
    from storage.reader import Hit
    from storage.tables.releases import Release
    from tasks.search.stage import Answers, Mode

__all__ = ["Kept", "QueriesConfig", "QueryLog", "text_kept"]

logger = logging.getLogger(__name__)

SHOWN = 10  # documents of a query that are noted
BATCH = 1_000  # queries that are written together at the latest
EVERY = 300.0  # seconds after which fewer are: each write leaves a file and a version until the next night
BACKLOG = 10_000  # queries that wait for a store that does not take them; older ones go
TRIES = 5
PATIENCE = 10.0  # seconds that a process waits for the last write when it ends
Noted: TypeAlias = tuple[EncoderRecord, Query]


class QueryLog:
    """Where a reader notes what it was asked. It never makes a search wait, and never makes one fail.

    Queries are gathered in memory and appended by a thread, in one commit that holds all of them or none; a process
    that is killed loses what was gathered since. A store that takes none is told once as a warning: then queries are
    lost, oldest first, and searches go on. That rule is why what goes wrong in here ends here.

    Args:
        store: The store that is searched, or its address.
        keep: What is kept of a text: the text, its hash, or nothing beside the vector; `off` keeps nothing at all.
        share: Share of the queries that are noted, drawn at random.
        every: Seconds after which gathered queries are written.
        batch: Queries that are written sooner.
    """

    def __init__(
        self, store: Store | str, keep: Kept = "text", share: float = 1.0, *, every: float = EVERY, batch: int = BATCH
    ) -> None:
        self.store = Store(store) if isinstance(store, str) else store
        self.keep, self.share, self.every, self.batch = keep, share, every, batch
        self.lost = 0
        self._waiting: list[Noted] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._hurry = self._closed = self._warned = False

    @classmethod
    def of(cls, store: Store | str, config: QueriesConfig) -> Self:
        """The log that a configuration asks for."""
        return cls(store, config.log, config.share)

    def __enter__(self) -> Self:
        """Nothing: it begins with the first query."""
        return self

    def __exit__(self, *_: object) -> None:
        """Write what is left."""
        self.close()

    def note(
        self,
        release: Release,
        mode: Mode,
        k: int,
        asked: Sequence[str],
        found: Sequence[Sequence[Hit]],
        first: Answers,
    ) -> None:
        """Take down some queries that were answered together.

        Args:
            release: The release that answered.
            mode: How it was searched.
            k: Hits that were asked for.
            asked: The queries.
            found: The hits of each, as they were shown.
            first: What the first stage said of them: vectors, and how near the nearest chunk is.
        """
        if self.keep == "off":
            return
        now, noted = datetime.now(UTC), []
        for at, (text, hits) in enumerate(zip(asked, found, strict=True)):
            if self.share < 1 and random.random() >= self.share:  # noqa: S311 - nobody gains by guessing it
                continue
            near = first.sides[at][0]
            said, hashed = text_kept(text, self.keep)
            query = Query(
                id=secrets.token_hex(16),
                time=now,
                release=release.seq,
                origin="search",
                mode=mode,
                best=max(near.values()) if near else None,
                k=k,
                documents=tuple(dict.fromkeys(document_key(hit.source, hit.document) for hit in hits[:SHOWN])),
                text=said,
                hash=hashed,
                vector=None if first.vectors is None else first.vectors[at],
            )
            noted.append((release.text.encoder, query))
        self._gather(noted)

    def close(self, patience: float = PATIENCE) -> None:
        """Write what is gathered and end the thread.

        Args:
            patience: Seconds to wait for a store that is slow.
        """
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join(patience)
        atexit.unregister(self.close)

    def _gather(self, noted: list[Noted]) -> None:
        with self._changed:
            self._waiting += noted
            over = len(self._waiting) - BACKLOG
            if over > 0:
                del self._waiting[:over]
                self.lost += over
            if self._thread is None and self._waiting:  # late: a service may fork after it has opened its search
                self._thread = threading.Thread(target=self._write_all, name="tidemark-queries", daemon=True)
                self._thread.start()
                atexit.register(self.close)
            if len(self._waiting) >= self.batch:
                self._hurry = True
                self._changed.notify_all()

    def _write_all(self) -> None:
        """Write again and again, until it is closed."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._hurry or self._closed, self.every)
                waiting, self._waiting, self._hurry = self._waiting, [], False
                last = self._closed
            left = self._write(waiting)
            with self._changed:
                self._waiting = left + self._waiting
                if last:
                    self.lost += len(self._waiting)
                    return

    def _write(self, waiting: list[Noted]) -> list[Noted]:
        """Append queries to the tables of their spaces; gives those that no attempt could write."""
        left = []
        for encoder in {encoder.id: encoder for encoder, _ in waiting}.values():
            queries = [query for its, query in waiting if its.id == encoder.id]
            if not self._appended(encoder, queries):
                left += [(encoder, query) for query in queries]
        return left

    def _appended(self, encoder: EncoderRecord, queries: list[Query]) -> bool:
        began = time.monotonic()
        for attempt in range(TRIES):
            try:
                Queries(self.store, encoder.id).add(queries, encoder.dimension)
            except faults() as error:
                # A store that is not merely busy takes seconds to say no: it is told while its process still waits.
                last = attempt == TRIES - 1 or time.monotonic() - began > PATIENCE / 4
                if last and not self._warned:
                    self._warned = True
                    logger.warning("queries are not logged in %s, and searches go on: %s", self.store.uri, error)
                if last:
                    return False
                time.sleep(random.uniform(0, 0.05 * 2**attempt))  # noqa: S311 - others may write at the same moment
            else:
                return True
        return False


def text_kept(text: str, keep: Kept) -> tuple[str | None, str | None]:
    """What is kept of a text: itself or nothing, and the hash of it or nothing.

    Texts that differ in case and blanks alone have one hash: they ask the same.
    """
    hashed = digest(" ".join(text.split()).casefold()) if keep in {"text", "hash"} else None
    return (text if keep == "text" else None), hashed
