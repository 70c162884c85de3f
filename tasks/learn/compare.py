"""Ask two releases the same questions: whose answers changed and, where they are judged, which release is better."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from models.metrics import Scores
from models.statistics import Paired, paired
from storage.errors import InputError
from tasks.learn.evaluate import Measured, measure
from tasks.learn.judged import golden
from tasks.learn.nearest import Asked, nearest_documents
from tasks.learn.questions import QuestionSet
from tasks.learn.subject import Catalogue, Subject
from tasks.search.search import Search, read_queries

__all__ = ["Answers", "Changed", "compare"]

K = 10  # documents that are an answer
_SPARE = 20  # of equal scores any may come last: what is cut at K is chosen among more
_BATCH = 256  # questions asked at once


@dataclass(frozen=True)
class Changed:
    """A question that two releases answer with other documents, or in another order.

    Attributes:
        query: The question.
        a: Source and id of the documents that the first release answers with, best first.
        b: Of the second.
        kept: How many of them are the same, wherever they stand.
    """

    query: str
    a: list[dict[str, str]]
    b: list[dict[str, str]]
    kept: int


@dataclass(frozen=True)
class Answers:
    """What two releases answer.

    Attributes:
        asked: Questions.
        changed: Those whose answers differ.
        ndcg: Mean nDCG@10 of both releases; None where the questions are not judged.
        difference: Of the second release to the first, question by question.
    """

    asked: int
    changed: list[Changed]
    ndcg: tuple[float, float] | None = None
    difference: Paired | None = None

    @property
    def better(self) -> str | None:
        """`a` or `b` where the interval of the difference says so; None where it holds 0, or nothing is judged."""
        if self.difference is None or self.difference.low <= 0 <= self.difference.high:
            return None
        return "b" if self.difference.low > 0 else "a"

    def to_dict(self) -> dict[str, Any]:
        """The answers as JSON-able values."""
        told: dict[str, Any] = {"asked": self.asked, "changed": len(self.changed), "answers": self.changed}
        if self.ndcg is None or self.difference is None:
            return told
        means = dict(zip("ab", self.ndcg, strict=True))
        return told | {"ndcg@10": means, "difference": self.difference, "better": self.better}


def compare(first: Search, second: Search, file: Path) -> Answers:
    """Ask both releases, by vectors compared with every chunk.

    Args:
        first: One release.
        second: The other.
        file: One question a line; or JSON lines with `query` and `documents`, which are judged.

    Raises:
        InputError: The file cannot be read, holds no question, or a line of it is malformed.
    """
    judged = golden(file) if _is_judged(file) else None
    texts = judged.questions["text"].to_list() if judged else [line for line in read_queries(file) if line.strip()]
    if not texts:
        raise InputError(f"{file}: holds no question; write one a line")
    changed = []
    for at in range(0, len(texts), _BATCH):
        some = texts[at : at + _BATCH]
        for query, a, b in zip(some, _answers(first, some), _answers(second, some), strict=True):
            if [content for content, _ in a] != [content for content, _ in b]:
                same = {content for content, _ in a} & {content for content, _ in b}
                changed.append(Changed(query, [name for _, name in a], [name for _, name in b], len(same)))
    if judged is None:
        return Answers(len(texts), changed)
    before, after = _figures(first, judged), _figures(second, judged)
    return Answers(len(texts), changed, (float(before.mean()), float(after.mean())), paired(before, after))


def _is_judged(file: Path) -> bool:
    first = next((line for line in read_queries(file) if line.strip()), "")
    return first.lstrip().startswith("{")


def _answers(search: Search, texts: list[str]) -> Iterator[list[tuple[str, dict[str, str]]]]:
    """Content and name of the documents that a release answers each question with."""
    subject = Subject.of(search.reader)
    catalogue = Catalogue(subject.documents)
    asked = Asked(search.encoder.encode_queries(texts), _SPARE, catalogue.pool(None))
    (ranking,) = nearest_documents(subject.chunks, catalogue.keys, [asked])
    found = ranking.frame()
    rows = found.with_columns(pl.Series("content", catalogue.contents[found["document"].to_numpy()], pl.String))
    # Numbers of documents are another release's own: of equal scores the smaller content comes first.
    rows = rows.sort("query", "score", "content", descending=[False, True, False])
    named = catalogue.every.filter(pl.col("duplicate_of").is_null()).select("source", document="id").to_dicts()
    answers: list[list[tuple[str, dict[str, str]]]] = [[] for _ in texts]
    for query, document, content in rows.select("query", "document", "content").iter_rows():
        if len(answers[query]) < K:
            answers[query].append((content, named[document]))
    return iter(answers)


def _figures(search: Search, judged: QuestionSet) -> Scores:
    what = Measured(("dense",), index=False, parts=False)
    (found,) = measure(Subject.of(search.reader), search.encoder, [judged], what=what).sets
    return found.modes["dense"].figures
