"""A store with nights behind it, written table by table: releases, a rollback, refusals, drift, figures, a hold."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from drafts import drafted

from flows.config.schema import Config
from storage.hashing import digest, document_key
from storage.outcome import Outcome
from storage.tables import chunks, documents
from storage.tables.chunks import ChunkTable
from storage.tables.documents import DocumentTable
from storage.tables.drift import Drift
from storage.tables.evaluations import Evaluations
from storage.tables.holds import Holds
from storage.tables.quarantine import Quarantine
from storage.tables.releases import RELEASES, Draft, Release, Releases
from storage.tables.roles import IndexFacts, chunks_table
from storage.tables.runs import RUNS, Runs
from storage.tables.seal import sealed
from storage.tables.store import Store, read

__all__ = ["HOSTILE", "MORNING", "SOURCES", "Histories"]

MORNING = datetime(2026, 3, 20, 9, 0, tzinfo=UTC)
SPACE = "ab" * 16
SOURCES = ("handbook", "tickets", "wiki")
DIMENSION = 16
# A document whose id and title would be markup, a script, or a secret, if a page let them.
HOSTILE = ("<script>alert('id')</script>.md", "<img src=x onerror=alert(1)> & https://me:secret@host/?token=abcdef")
CHECKS = {"ok": True, "checks": [{"name": "documents.keys", "ok": True, "detail": "<b>40</b> rows, 40 keys"}]}


@dataclass
class Histories:
    """Writes nights into a store, one after the other.

    Attributes:
        folder: Of the configuration.
        keep: Releases that stay.
        night: The number of the next night.
    """

    folder: Path
    keep: int = 10
    night: int = 0
    _random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(5))

    def __post_init__(self) -> None:
        self.store = Store(str(self.folder / "store"))
        self.config = Config.from_mapping({"store": {"uri": "store"}, "encoder": {"name": "stub"}}, self.folder)
        self._topics = self._random.normal(size=(len(SOURCES), DIMENSION)).astype(np.float32) * 1.5

    def publish(self, added: int = 5, *names: tuple[str, str], refused: Iterable[str] = (), gone: int = 0) -> Release:
        """A night that publishes: documents come, some are gone, some are refused.

        Args:
            added: Documents a source.
            *names: More of `tickets`, by id and title.
            refused: Ids of `wiki` that a rule refuses.
            gone: Documents of `handbook` that go.
        """
        made = [(source, f"{source}-{self.night}-{n}.md", f"Page {n}") for source in SOURCES for n in range(added)]
        made += [("tickets", name, title) for name, title in names]
        rows = [self._document(*each) for each in made]
        self._refuse(refused)
        table = chunks_table(SPACE)
        documents.append(self.store, [pl.DataFrame(rows, infer_schema_length=None)] if rows else [])
        chunks.append(self.store, table, DIMENSION, [self._chunks(rows)] if rows else [])
        ledger = DocumentTable(self.store).ledger(["key", "source"])
        out = ledger.filter(pl.col("source") == "handbook")["key"].sort().head(gone).to_list()
        if out:
            documents.delete(self.store, out)
            chunks.delete(self.store, table, keys=out)
        held, whole = DocumentTable(self.store), ChunkTable(self.store, table)
        counts = {"documents": held.rows, "chunks": whole.rows, "embedded": 2 * len(rows), "quarantined": self._held}
        counts |= {"added": len(rows), "deleted": len(out), "tokens": 240 * len(rows)}
        facts = {"counts": counts, "audit": CHECKS, "index": IndexFacts(kind="IVF_RQ", recall=0.98)}
        tables = {"documents": held.version, table: whole.version}
        return self._published(drafted(tables, space=SPACE, run=self._run, **facts), counts)

    def rollback(self) -> Release:
        """A rollback at noon of the last night."""
        run = f"{self._run}-back"
        made = Releases(self.store).rollback(None, run)
        self._at(made, self._when(-1) + timedelta(hours=10))
        self._record(run, "rollback", Outcome.PUBLISHED, self._when(-1) + timedelta(hours=10), made.seq, {})
        return made

    def end(self, outcome: Outcome, message: str) -> None:
        """A night that ends without a release."""
        newest = Releases(self.store).current()
        self._record(self._run, "refresh", outcome, self._when(), newest and newest.seq, {"embedded": 0}, message)
        self.night += 1

    def measure(self, release: Release, value: float = 0.6) -> None:
        """Figures of a set with three modes and two slices."""
        about: dict[str, Any] = {"run": f"m{release.seq}", "maker": release.run, "release": release.seq, "space": SPACE}
        about |= {"set": "golden <set>", "split": "test", "questions": 80, "created": self._when(), "detectable": 0.07}
        metrics = dict.fromkeys(("recall_10", "recall_100", "mrr_10", "map"), 0.7)
        rows = [
            about | metrics | {"mode": mode, "ndcg_10": value + plus, "low": value + plus - 0.05, "high": value + 0.1}
            for mode, plus in (("dense", 0.0), ("text", -0.1), ("hybrid", 0.03))
        ]
        rows += [
            about | {"mode": "hybrid", "by": "language", "value": of, "ndcg_10": value, "low": value - 0.2, "high": 0.9}
            for of in ("en", "<i>de</i>")
        ]
        Evaluations(self.store).add(rows)

    def drift(self, release: Release, value: float, *, alarm: bool = False) -> None:
        """Three figures of the last night, of which one may be an alarm."""
        about = {"run": release.run, "maker": release.run, "release": release.seq, "created": self._when(-1)}
        about |= {"space": SPACE, "history": 8, "over": False, "alarm": False}
        named = [{"source": "tickets", "document": f"tickets-{release.seq - 1}-{n}.md"} for n in range(3)]
        detail = json.dumps({"auc": 0.8, "grew": [{"cell": 4, "documents": [*named, {"document": HOSTILE[0]}]}]})
        band = {"median": 0.002, "mad": 0.0002, "highest": 0.003, "limit": 0.004}
        raised = {"over": alarm, "alarm": alarm, "detail": detail}
        figures = [
            about | band | raised | {"family": "embeddings", "name": "mean_difference", "value": value},
            about | {"family": "data", "name": "documents", "source": "wiki", "value": 5.0, "history": 2},
            about | {"family": "encoder", "name": "canary", "value": 2e-7, "limit": 1e-5, "median": 1e-7},
        ]
        Drift(self.store).add(figures)

    def hold(self, why: str, nights: int = 1) -> None:
        """A hold over the next nights, lifted after them."""
        Holds(self.store).place(why, "ada@desk", None, self._when() - timedelta(hours=6))
        Holds(self.store).lift("ada@desk", self._when(nights))

    @property
    def _run(self) -> str:
        return f"{self._when():%Y%m%d-%H%M%S}-{self.night:06x}"

    @property
    def _held(self) -> int:
        return Quarantine(self.store).held().height

    def _when(self, later: int = 0) -> datetime:
        """When a night begins: at two, the twentieth of them on the morning of the report."""
        return MORNING.replace(hour=2) - timedelta(days=19 - self.night - later)

    def _document(self, source: str, name: str, title: str) -> dict[str, Any]:
        row: dict[str, Any] = dict.fromkeys(documents.DOCUMENTS.names)
        row |= {"key": document_key(source, name), "source": source, "id": name, "title": title, "n_chunks": 2}
        row |= {
            "content_hash": digest(name),
            "record_hash": digest(title),
            "text": f"The text of {name}.",
            "run": self._run,
        }
        return row | {"queries": []}

    def _chunks(self, rows: list[dict[str, Any]]) -> tuple[pl.DataFrame, np.ndarray]:
        made, vectors = [], []
        for row in rows:
            middle = self._topics[SOURCES.index(row["source"])]
            for ordinal in range(2):
                vector = middle + self._random.normal(size=DIMENSION).astype(np.float32)
                vectors.append(vector / np.linalg.norm(vector))
                text = f"Part {ordinal} of {row['id']}"
                place = {"ordinal": ordinal, "start": 0, "end": len(text), "unit": "characters", "tokens": 120}
                name = {"id": digest(text), "key": row["key"], "source": row["source"], "document": row["id"]}
                made.append(name | place | {"hash": digest(text), "text": text})
        frame = pl.DataFrame(made).select(chunks.chunks_schema(DIMENSION).names[:-1])
        return frame, np.array(vectors, dtype=np.float32)

    def _refuse(self, names: Iterable[str]) -> None:
        rows = [
            {
                "key": document_key("wiki", name),
                "source": "wiki",
                "document": name,
                "revision": "r",
                "rule": "not_empty",
                "rule_version": "1",
                "reason": f"the document {name} has no text",
                "judged": "j",
                "excerpt": "",
                "defect": False,
            }
            for name in names
        ]
        Quarantine(self.store).refuse(pl.DataFrame(rows), self._run, self._when() + timedelta(minutes=1))

    def _published(self, draft: Draft, counts: dict[str, int]) -> Release:
        found = Releases(self.store)
        current = found.current()
        made = found.publish(0 if current is None else current.seq, draft)
        found.expire(self.keep)
        self._at(made, self._when() + timedelta(minutes=2))
        seconds = {"scan": 0.4, "validate": 2.5, "embed": 20.0 + self.night, "audit": 1.2, "total": 25.5 + self.night}
        message = f"release {made.seq} is published"
        self._record(self._run, "refresh", Outcome.PUBLISHED, self._when(), made.seq, counts, message, seconds)
        self.night += 1
        return found.get(made.seq)

    def _at(self, release: Release, when: datetime) -> None:
        """Date a release back."""
        rows = read(self.store.open("releases"), RELEASES).to_pylist()
        rows = [sealed(row | {"created": when}) for row in rows if row["seq"] == release.seq]
        self.store.upsert("releases", RELEASES, "seq", rows)

    def _record(
        self,
        run: str,
        kind: str,
        outcome: Outcome,
        started: datetime,
        release: int | None,
        counts: dict[str, int],
        message: str = "",
        seconds: dict[str, float] | None = None,
    ) -> None:
        facts: dict[str, Any] = {"release": release, "message": message, "counts": counts, "seconds": seconds or {}}
        Runs(self.store).record(run, kind, outcome, started, **facts)
        rows = [row for row in read(self.store.open("runs"), RUNS).to_pylist() if row["run"] == run]
        ended = started + timedelta(seconds=(seconds or {}).get("total", 3.0))
        self.store.upsert("runs", RUNS, "run", [row | {"finished": ended} for row in rows])
