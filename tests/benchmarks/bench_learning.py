"""Time and peak memory of mining and of evaluating, at a number of documents and at ten times that number.

Usage: bench_learning.py [DOCUMENTS] [QUESTIONS]   (default 10000 2000)
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
from workload import table

from models.config import EncoderConfig
from models.encoder import Encoder, resolve
from storage.hashing import digest, document_key
from storage.reader import Reader
from storage.tables.chunks import ChunkTable, append
from storage.tables.documents import DOCUMENTS
from storage.tables.index import build, partitions
from storage.tables.releases import Draft, Releases
from storage.tables.roles import TEXT, EncoderRecord, IndexFacts, Role, chunks_table
from storage.tables.store import Store
from storage.tables.words import build_text
from tasks.build.centres import centres
from tasks.learn.evaluate import measure
from tasks.learn.mine import mine
from tasks.learn.questions import JUDGEMENTS, QUESTIONS, QuestionSet
from tasks.learn.subject import Subject

ROWS = 5_000
WORDS = np.array([f"word{number}" for number in range(20_000)])
COMMON = 12  # words of a question that any document may have


def encoder() -> Encoder:
    """The stub: its vectors follow the words."""
    return resolve(EncoderConfig(name="stub")).open()


def texts(first: int, rows: int) -> list[str]:
    """Documents of forty words; each has its own."""
    drawn = np.random.default_rng(first).integers(0, len(WORDS), (rows, 40))
    return [f"own{first + number} " + " ".join(WORDS[row]) for number, row in enumerate(drawn)]


def chunks(documents: int) -> Iterator[tuple[pl.DataFrame, np.ndarray]]:
    """A table of one chunk a document."""
    opened = encoder()
    for first in range(0, documents, ROWS):
        names, held = [f"d{number}" for number in range(first, first + ROWS)], texts(first, ROWS)
        keys = [document_key("notes", name) for name in names]
        frame = pl.DataFrame({"id": keys, "key": keys, "document": names, "hash": keys, "text": held}).with_columns(
            *(pl.lit(0, pl.Int32).alias(name) for name in ("ordinal", "start", "end", "tokens")),
            source=pl.lit("notes"),
            unit=pl.lit("characters"),
        )
        yield frame, opened.encode_documents(held)


def fill(folder: str, documents: int) -> None:
    """Publish the documents, with both indexes."""
    store, space = Store(folder), encoder().space
    name = chunks_table(space.id)
    append(store, name, space.dimension, chunks(documents))
    for first in range(0, documents, ROWS):
        rows = [
            dict.fromkeys(DOCUMENTS.names)
            | {"key": document_key("notes", f"d{number}"), "source": "notes", "id": f"d{number}"}
            | {"content_hash": digest(f"d{number}"), "text": "", "queries": []}
            for number in range(first, first + ROWS)
        ]
        store.append("documents", DOCUMENTS, [pa.RecordBatch.from_pylist(rows, schema=DOCUMENTS)])
    cells = partitions(documents)
    build(store, name, centres(ChunkTable(store, name), cells))
    build_text(store, name, "icu/split")
    facts = IndexFacts(
        "IVF_RQ", documents, nprobes=min(cells, 20), refine_factor=10, partitions=cells, text="icu/split"
    )
    pins = {each: store.open(each).version for each in ("documents", name)}
    role = Role(space.id, EncoderRecord(id=space.id, name="stub"), name, pins[name], facts)
    Releases(store).publish(0, Draft(run="bench", tables=pins, roles={TEXT: role}))


def asked(questions: int) -> QuestionSet:
    """Questions: the own word of a document, two of its others, and common ones."""
    draws, held = np.random.default_rng(1), texts(0, ROWS)
    common = WORDS[draws.integers(0, len(WORDS), (questions, COMMON))].tolist()
    words = [text.split()[:3] + others for text, others in zip(held, common, strict=False)]
    names = [f"q{number}" for number in range(questions)]
    told = pl.DataFrame({"question": names, "text": [" ".join(each) for each in words]}, QUESTIONS)
    rows = [(name, "notes", f"d{number}", 1) for number, name in enumerate(names)]
    return QuestionSet("bench", "test", "target", "notes", told, pl.DataFrame(rows, JUDGEMENTS, orient="row"))


def mined(folder: str, questions: int) -> float:
    """Mine; returns how many negatives were found."""
    subject, texts_ = Subject.of(Reader.open(folder)), asked(questions).questions["text"].to_list()
    right = pl.DataFrame({"query": range(questions), "key": [document_key("notes", f"d{n}") for n in range(questions)]})
    parts = mine(encoder().encode_queries(texts_), right.cast({"query": pl.UInt32}), subject.chunks, n=4)
    return float(sum(part.height for part in parts))


def evaluated(folder: str, questions: int) -> float:
    """Evaluate in every mode, through both indexes, with slices and noise; returns nDCG@10 by both."""
    [found] = measure(Subject.of(Reader.open(folder)), encoder(), [asked(questions)]).sets
    return found.modes["hybrid"].metrics["ndcg@10"]


def filled(folder: str, documents: int) -> float:
    """Publish the documents; returns how many."""
    fill(folder, documents)
    return float(documents)


JOBS = {"filling": filled, "mining": mined, "evaluating": evaluated}


def work(job: str, folder: str, count: int) -> None:
    """Do a job in this process, and print what it found, seconds, core seconds and peak MiB."""
    started = time.perf_counter()
    found = JOBS[job](folder, count)
    seconds, used = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps([found, seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))


def done(job: str, folder: str, count: int) -> tuple[float, float, float, float]:
    """Do a job in a process of its own: one that filled a table would give its peak to whoever it starts."""
    command = [sys.executable, __file__, "--job", job, "--store", folder, "--count", str(count)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found, seconds, cores, peak = json.loads(told)
    return found, seconds, cores, peak


def main() -> None:
    """Do both jobs at both sizes and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("documents", nargs="?", type=int, default=10_000)
    parser.add_argument("questions", nargs="?", type=int, default=2_000)
    parser.add_argument("--job", choices=JOBS)
    parser.add_argument("--store")
    parser.add_argument("--count", type=int)
    given = parser.parse_args()
    if given.job:
        work(given.job, given.store, given.count)
        return
    rows, peaks = [], dict[str, list[float]]()
    with tempfile.TemporaryDirectory() as root:
        for documents in (given.documents, 10 * given.documents):
            folder = str(Path(root) / str(documents))
            done("filling", folder, documents)
            for job in ("mining", "evaluating"):
                found, seconds, cores, peak = done(job, folder, given.questions)
                peaks.setdefault(job, []).append(peak)
                shown = f"{found:,.0f} negatives" if job == "mining" else f"nDCG@10 {found:.3f}"
                size = (f"{documents:,}", f"{given.questions:,}")
                rows.append((job, *size, shown, f"{seconds:.1f}", f"{cores:.1f}", f"{peak:.0f}"))
    for job, (small, large) in peaks.items():
        rows.append((f"{job}, ratio (asked: 1.2)", "", "", "", "", "", f"{large / small:.2f}"))
    print(table(("", "documents", "questions", "found", "seconds", "core s", "peak MiB"), rows))


if __name__ == "__main__":
    main()
