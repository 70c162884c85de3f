"""The corpus of the demonstration: no document holds its question, and no package is in two splits."""

from __future__ import annotations

import json
from pathlib import Path

from flows.cli.demo_corpus import write_corpus

PACKAGES = ("csv", "json", "logging", "pathlib", "shutil", "tarfile", "zipfile")


def lines(file: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_questions_are_taken_out_of_their_documents_and_split_by_package(tmp_path: Path) -> None:
    told = write_corpus(PACKAGES, tmp_path)
    documents = {row["id"]: row for row in lines(tmp_path / "docs.jsonl")}
    questions = {row["_id"]: row["text"] for row in lines(tmp_path / "questions" / "queries.jsonl")}
    assert told.documents == len(documents) > 100
    assert len(questions) == sum(told.questions.values()) > 80
    for name, question in questions.items():
        assert question not in " ".join(documents[name]["text"].split())
    packages: dict[str, set[str]] = {}
    for split in ("train", "dev", "test"):
        rows = (tmp_path / "questions" / "qrels" / f"{split}.tsv").read_text().splitlines()[1:]
        packages[split] = {documents[row.split("\t")[1]]["package"] for row in rows}
    assert packages["train"] and packages["dev"] and packages["test"]
    assert not packages["train"] & packages["test"] | packages["train"] & packages["dev"]
    assert write_corpus(PACKAGES, tmp_path / "again").questions == told.questions
