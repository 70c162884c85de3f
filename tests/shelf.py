"""Small releases of known passages, with the vectors of the stub encoder, for tests of what is found in them."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa
from drafts import drafted

from models.config import EncoderConfig
from models.encoder import Encoder, resolve
from storage.hashing import digest, document_key
from storage.reader import Reader
from storage.tables.chunks import chunks_schema
from storage.tables.documents import DOCUMENTS
from storage.tables.releases import Release, Releases
from storage.tables.roles import IndexFacts, chunks_table
from storage.tables.store import Store
from storage.tables.words import build_text
from tasks.learn.questions import JUDGEMENTS, QUESTIONS, QuestionSet
from tasks.learn.subject import Subject

__all__ = ["Paper", "asked", "read", "shelve", "stub"]


@dataclass(frozen=True)
class Paper:
    """A document: its passages, and the `source/id` of the one that it duplicates."""

    id: str
    passages: Sequence[str]
    source: str = "notes"
    duplicate_of: str | None = None

    @property
    def key(self) -> str:
        return document_key(self.source, self.id)


@functools.cache
def stub() -> Encoder:
    """The encoder of every such release."""
    return resolve(EncoderConfig(name="stub")).open()


def shelve(uri: Path, papers: Sequence[Paper], index: IndexFacts | None = None, **facts: object) -> Release:
    """Publish these documents, and no others, as the next release; with a full-text index where the facts name one."""
    store, space = Store(uri), stub().space
    table, schema = chunks_table(space.id), chunks_schema(space.dimension)
    documents, chunks = [], []
    for paper in papers:
        content = digest("\n".join(paper.passages))
        original = None if paper.duplicate_of is None else document_key(*paper.duplicate_of.split("/", 1))
        row = {"key": paper.key, "source": paper.source, "id": paper.id, "content_hash": content}
        row |= {"duplicate_of": original, "text": "\n".join(paper.passages), "queries": []}
        documents.append(dict.fromkeys(DOCUMENTS.names) | row)
        for ordinal, text in enumerate([] if original else paper.passages):
            place = {"id": digest(f"{paper.key}{ordinal}"), "key": paper.key, "source": paper.source}
            place |= {"document": paper.id, "ordinal": ordinal, "start": 0, "end": len(text)}
            chunks.append(dict.fromkeys(schema.names) | place | {"hash": digest(text), "text": text})
    vectors = stub().encode_documents([str(row["text"]) for row in chunks])
    for row, vector in zip(chunks, vectors, strict=True):
        row["vector"] = vector.tolist()
    for name, rows, kind in (("documents", documents, DOCUMENTS), (table, chunks, schema)):
        store.ensure(name, kind).delete("true")
        store.append(name, kind, [pa.RecordBatch.from_pylist(rows, schema=kind)])
    if index is not None and index.text is not None:
        build_text(store, table, index.text)
    pins = {name: store.open(name).version for name in ("documents", table)}
    made = drafted(pins, space=space.id, index=index or IndexFacts(), **facts)
    current = Releases(store).current()
    return Releases(store).publish(0 if current is None else current.seq, made)


def read(uri: Path, release: int | None = None) -> Subject:
    """A release as it is evaluated."""
    return Subject.of(Reader.open(str(uri), release))


def asked(
    answers: Mapping[str, Mapping[str, int]], *, source: str | None = "notes", name: str = "set", split: str = "test"
) -> QuestionSet:
    """Questions by their text, each with the documents that are judged for it and their grades."""
    questions = pl.DataFrame({"question": [f"q{n}" for n in range(len(answers))], "text": list(answers)}, QUESTIONS)
    rows = [
        (f"q{n}", source, document, grade)
        for n, grades in enumerate(answers.values())
        for document, grade in grades.items()
    ]
    judgements = pl.DataFrame(rows, JUDGEMENTS, orient="row")
    return QuestionSet(name, split, "target", source, questions, judgements)  # type: ignore[arg-type]
