"""Real documents and questions that every machine has: docstrings of installed packages, and their first sentences."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from storage.hashing import digest
from storage.sources.config import PythonConfig
from storage.sources.python import PythonSource

__all__ = ["PACKAGES", "Corpus", "write_corpus"]

# Of the standard library and of what every installation has: enough questions to learn from, and to judge by.
PACKAGES = (
    *("calendar", "collections", "configparser", "contextlib", "csv", "datetime", "decimal", "email", "ftplib"),
    *("functools", "http", "imaplib", "importlib", "inspect", "ipaddress", "json", "logging", "mailbox", "pathlib"),
    *("random", "shutil", "smtplib", "socket", "socketserver", "statistics", "subprocess", "tarfile", "tempfile"),
    *("threading", "typing", "unittest", "urllib", "zipfile", "requests", "rich", "safetensors", "tqdm"),
)

SHORTEST, LONGEST = 20, 250  # characters of a question
WORDS = 4
REST = 60  # characters that must be left of a document without its question
CUT = 300  # characters of a document
# Packages are told apart as wholes: a question must not be judged by the package that its like were trained on.
TEST, DEV = 0.25, 0.1
_SENTENCE = re.compile(r"\A\s*(.{1,400}?[.!?])(?:\s|\Z)", re.DOTALL)


@dataclass(frozen=True)
class Corpus:
    """What was written.

    Attributes:
        documents: How many.
        questions: How many of each split.
    """

    documents: int
    questions: dict[str, int]


def write_corpus(packages: Sequence[str], folder: Path) -> Corpus:
    """Write `docs.jsonl`, and a folder `questions` in BEIR's format.

    A question is the first sentence of a docstring, and its document the signature with the rest: with the sentence in
    it, every search would find it by its own words, and the figure would say nothing.

    Args:
        packages: Names of installed packages or modules of the standard library.
        folder: Where to.
    """
    rows = list(_rows(packages))
    parts = _split({package for package, *_ in rows})
    judged = folder / "questions" / "qrels"
    judged.mkdir(parents=True, exist_ok=True)
    texts, answers = list[str](), {name: ["query-id\tcorpus-id\tscore"] for name in ("train", "dev", "test")}
    documents, seen = list[str](), set[str]()
    for package, name, question, text in rows:
        documents.append(json.dumps({"id": name, "text": text, "package": package}))
        if question is None or question.lower() in seen:
            continue
        seen.add(question.lower())
        texts.append(json.dumps({"_id": name, "text": question}))
        answers[parts[package]].append(f"{name}\t{name}\t1")
    (folder / "docs.jsonl").write_text("\n".join(documents) + "\n", encoding="utf-8")
    (folder / "questions" / "queries.jsonl").write_text("\n".join(texts) + "\n", encoding="utf-8")
    for split, lines in answers.items():
        (judged / f"{split}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Corpus(len(documents), {split: len(lines) - 1 for split, lines in answers.items()})


def _rows(packages: Sequence[str]) -> Iterator[tuple[str, str, str | None, str]]:
    """Package, id, question if there is one, and text of each docstring, each text once."""
    source = PythonSource(PythonConfig(name="docs", kind="python", packages=tuple(packages)), Path())
    seen = set[str]()
    for listed in list(source.list()):
        for part in source.read(listed["id"]):
            for row in part.filter(pl.col("problem").is_null()).iter_rows(named=True):
                facts = json.loads(row["metadata"])
                head, _, doc = row["text"].partition("\n\n")
                question, rest = _question(doc)
                text = f"{head}\n\n{rest}"[:CUT].strip()
                if facts["kind"] == "module" or len(rest) < REST or text in seen:
                    continue
                seen.add(text)
                yield facts["package"], row["id"], question, text


def _question(doc: str) -> tuple[str | None, str]:
    """The first sentence of a docstring, and the rest without it."""
    found = _SENTENCE.match(doc)
    if found is None:
        return None, doc
    question = " ".join(found[1].split())
    if not SHORTEST <= len(question) <= LONGEST or len(question.split()) < WORDS:
        return None, doc
    return question, doc[found.end() :].replace(found[1], " ").strip()


def _split(packages: set[str]) -> dict[str, str]:
    """Package to split, by the hash of its name: the same on every machine."""
    ordered = sorted(packages, key=digest)
    tested, chosen = round(len(ordered) * TEST), max(1, round(len(ordered) * DEV))
    names = ["test"] * tested + ["dev"] * chosen + ["train"] * (len(ordered) - tested - chosen)
    return dict(zip(ordered, names, strict=True))
