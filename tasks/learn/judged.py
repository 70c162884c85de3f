"""Judged questions from files: folders in BEIR's format, qrels of TREC, and golden questions written by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import orjson
import polars as pl

from storage.errors import InputError
from storage.tables.documents import DocumentTable
from tasks.learn.config import EvaluationConfig
from tasks.learn.questions import JUDGEMENTS, QUESTIONS, Purpose, QuestionSet, Split

__all__ = ["OWN", "golden", "own_questions", "question_set", "question_sets"]

QUERIES = "queries.jsonl"
OWN = "own"  # the set of the queries that documents bring along
GRADES = range(-(2**31), 2**31)

Lines: TypeAlias = Iterator[tuple[str, str]]  # where a line stands, and its text
Judgement: TypeAlias = tuple[str, str | None, str, int]  # question, source, document, grade


def question_sets(sets: Iterable[EvaluationConfig], base: Path, split: Split) -> list[QuestionSet]:
    """Read the configured sets that have questions of a split.

    Args:
        sets: The sections `[[evaluation]]`.
        base: The folder that relative paths start from.
        split: Which questions.

    Raises:
        InputError: A file is missing or malformed; the text names file and line.
    """
    found = (question_set(each, base, split) for each in sets)
    return [each for each in found if each is not None]


def question_set(config: EvaluationConfig, base: Path, split: Split) -> QuestionSet | None:
    """Read one configured set; None where it has no questions of the split.

    A document that is judged twice for a question has the better grade.

    Args:
        config: The section.
        base: The folder that relative paths start from.
        split: Which questions.

    Raises:
        InputError: A file is missing or malformed; the text names file and line.
    """
    path = (base / config.path.expanduser()).resolve()
    if path.is_dir():
        if not (path / "qrels").is_dir():
            raise InputError(
                f"evaluation {config.name!r}: {path} has no folder qrels; put test.tsv (and dev.tsv) into it"
            )
        file, read = path / "qrels" / f"{split}.tsv", _tsv
        if not file.is_file():
            return None
    elif path.is_file():
        if split != "test":  # one file of qrels is there to judge with
            return None
        file, read = path, _trec
    else:
        raise InputError(f"evaluation {config.name!r}: {path} does not exist; name a folder in BEIR's format, or qrels")
    texts = _queries((path if path.is_dir() else path.parent) / QUERIES)
    judgements = [(question, config.source, document, grade) for question, document, grade in read(file, texts)]
    if not judgements:
        raise InputError(f"{file}: holds no judgement; remove the file, or write one a line")
    return _set(config.name, split, config.role, config.source, texts, judgements)


def golden(file: Path, name: str = "golden") -> QuestionSet:
    """Read questions that somebody wrote by hand.

    Args:
        file: JSON lines `{"query": ..., "documents": [...]}`; a document is its id, or
            `{"source": ..., "document": ..., "grade": ...}` of which the first and the last may be left out.
        name: Name of the set.

    Raises:
        InputError: The file is missing or malformed; the text names file and line.
    """
    texts: dict[str, str] = {}
    judgements: list[Judgement] = []
    for number, (where, row) in enumerate(_objects(file), start=1):
        documents = row.get("documents")
        if not isinstance(documents, list) or not documents:
            raise InputError(f'{where}: "documents" must list the documents that answer, for example ["guide.md"]')
        question = str(number)
        texts[question] = _text(row, "query", where)
        judgements += [(question, *_answer(document, where)) for document in documents]
    if not texts:
        raise InputError(f'{file}: holds no question; write one a line: {{"query": "...", "documents": ["id"]}}')
    return _set(name, "test", "target", None, texts, judgements)


def own_questions(documents: DocumentTable, name: str = OWN) -> QuestionSet | None:
    """The queries that documents bring along, each answered by the documents that name it; None where none does.

    Args:
        documents: The documents of a release.
        name: Name of the set.
    """
    parts = [
        part.filter(pl.col("queries").list.len() > 0).select("source", "id", "queries").explode("queries")
        for part in documents.slices(["source", "id", "queries"])
    ]
    rows = (
        pl.concat(parts) if parts else pl.DataFrame(schema={"source": pl.String, "id": pl.String, "queries": pl.String})
    )
    rows = rows.filter(pl.col("queries").str.contains(r"\S")).rename({"queries": "text", "id": "document"})
    if rows.is_empty():
        return None
    questions = rows.select("text").unique(maintain_order=True).with_row_index("question", offset=1)
    questions = questions.select(pl.col("question").cast(pl.String), "text")
    # Inner: every text stands in both; a query of two documents has two answers.
    judged = rows.join(questions, on="text", how="inner").with_columns(pl.lit(1, pl.Int32).alias("grade"))
    judgements = judged.select(JUDGEMENTS.names()).unique(maintain_order=True)
    return QuestionSet(name, "test", "target", None, questions, judgements)


def _set(
    name: str, split: Split, role: Purpose, source: str | None, texts: Mapping[str, str], judgements: list[Judgement]
) -> QuestionSet:
    judged = pl.DataFrame(judgements, schema=JUDGEMENTS, orient="row")
    judged = judged.group_by("question", "source", "document", maintain_order=True).agg(pl.col("grade").max())
    questions = pl.DataFrame({"question": list(texts), "text": list(texts.values())}, schema=QUESTIONS)
    # Semi: a file of queries holds those of all splits; the questions of this one are those that it judges.
    asked = questions.join(judged, on="question", how="semi", maintain_order="left")
    return QuestionSet(name, split, role, source, asked, judged)


def _queries(file: Path) -> dict[str, str]:
    """Id to text of every query of a file."""
    texts: dict[str, str] = {}
    for where, row in _objects(file):
        name = next((row[key] for key in ("_id", "id") if key in row), None)
        if not isinstance(name, str | int) or isinstance(name, bool) or not str(name).strip():
            raise InputError(f'{where}: a query needs an id: write "_id", a text that no other query has')
        if str(name) in texts:
            raise InputError(f"{where}: query {str(name)!r} is there twice; give each an id of its own")
        texts[str(name)] = _text(row, "text", where)
    return texts


def _tsv(file: Path, texts: Mapping[str, str]) -> Iterator[tuple[str, str, int]]:
    """Judgements of a file of BEIR: query-id, corpus-id and score, below a header."""
    lines = _lines(file)
    where, header = next(lines, (f"{file}, line 1", ""))
    if header.split("\t") != ["query-id", "corpus-id", "score"]:
        raise InputError(f"{where}: the header must be query-id, corpus-id, score with tabs between, not {header!r}")
    shape = "query-id, corpus-id and score with tabs between"
    return _judged(lines, lambda line: line.split("\t"), (0, 1, 2), shape, texts)


def _trec(file: Path, texts: Mapping[str, str]) -> Iterator[tuple[str, str, int]]:
    """Judgements of a file of TREC: question, 0, document, grade."""
    return _judged(_lines(file), str.split, (0, 2, 3), "question, 0, document and grade with blanks between", texts)


def _judged(
    lines: Lines, split: Callable[[str], list[str]], at: tuple[int, int, int], shape: str, texts: Mapping[str, str]
) -> Iterator[tuple[str, str, int]]:
    """Read one judgement a line.

    Args:
        lines: The lines.
        split: Cuts one into its fields.
        at: Where question, document and grade stand; the grade is the last.
        shape: What a line holds, in words.
        texts: The questions that there are.
    """
    for where, line in lines:
        fields = split(line)
        if len(fields) != at[2] + 1:
            raise InputError(f"{where}: has {len(fields)} fields; write {shape}")
        question, document, grade = (fields[place].strip() for place in at)
        if question not in texts:
            raise InputError(f"{where}: there is no query {question!r} in {QUERIES}; add it, or remove the line")
        if not document:
            raise InputError(f"{where}: names no document; write {shape}")
        yield question, document, _grade(grade, where)


def _grade(value: Any, where: str) -> int:
    try:
        grade = int(value) if isinstance(value, str | int) and not isinstance(value, bool) else None
    except ValueError:
        grade = None
    if grade is None or grade not in GRADES:
        raise InputError(f"{where}: the grade {value!r} is no whole number; write 0 for no answer, 1 or more for one")
    return grade


def _answer(document: Any, where: str) -> tuple[str | None, str, int]:
    """Source, id and grade of a document of a golden question."""
    if isinstance(document, str) and document:
        return None, document, 1
    if not isinstance(document, dict) or not isinstance(document.get("document"), str):
        raise InputError(f'{where}: {document!r} names no document; write its id, or {{"source", "document", "grade"}}')
    unknown = sorted(set(document) - {"source", "document", "grade"})
    if unknown:
        raise InputError(f"{where}: a document has no {unknown[0]!r}; it has source, document and grade")
    source = document.get("source")
    if source is not None and not isinstance(source, str):
        raise InputError(f"{where}: the source {source!r} is no text; write its name, or leave it out")
    return source, document["document"], _grade(document.get("grade", 1), where)


def _text(row: Mapping[str, Any], key: str, where: str) -> str:
    text = row.get(key)
    if not isinstance(text, str) or not text.strip():
        raise InputError(f'{where}: "{key}" must hold the text of the question')
    return text


def _objects(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Where each line of JSON lines stands, and its object."""
    for where, line in _lines(file):
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise InputError(f"{where}: is no JSON ({error}); write one object a line") from error
        if not isinstance(row, dict):
            raise InputError(f"{where}: is no JSON object; write one a line, in braces")
        yield where, row


def _lines(file: Path) -> Lines:
    """The lines of a file but for blank ones, each with file and number."""
    try:
        with file.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                where = f"{file}, line {number}"
                try:
                    text = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
                except UnicodeDecodeError as error:
                    raise InputError(f"{where}: is not UTF-8; save the file as UTF-8") from error
                if text.strip():
                    yield where, text
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror}; judged questions need it") from error
