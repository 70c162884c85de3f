"""What a search finds for judged questions before it is ordered once more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Self

import numpy as np
import numpy.typing as npt

from models.encoder import Encoder
from models.metrics import score
from models.rerank.base import SIDES, Candidate, OnQuestions, Reranker, Scores
from storage.filters import Where
from storage.reader import Reader
from tasks.learn.questions import QuestionSet
from tasks.learn.subject import Catalogue
from tasks.search.rerank import DEPTH
from tasks.search.stage import answers, mode_of

__all__ = ["FirstStage", "drawn", "first_stage"]

TIMED, FEWEST = 10, 3  # questions whose re-ranking is timed: so many, or so few where that took
TIMING = 2_000  # milliseconds


@dataclass(frozen=True)
class FirstStage:
    """What a search found for some questions, before it is ordered once more.

    Attributes:
        questions: Texts of n questions.
        candidates: Of each question what was found, best first.
        contents: Of each candidate the content of its document, by which it is judged.
        relevant: Of each question the contents that answer it, and their grades.
    """

    questions: list[str]
    candidates: list[list[Candidate]]
    contents: list[list[str]]
    relevant: list[dict[str, int]]

    @classmethod
    def joined(cls, stages: Sequence[Self]) -> Self:
        """The questions of several sets as one."""
        return cls(
            questions=[each for stage in stages for each in stage.questions],
            candidates=[each for stage in stages for each in stage.candidates],
            contents=[each for stage in stages for each in stage.contents],
            relevant=[each for stage in stages for each in stage.relevant],
        )

    def some(self, most: int) -> Self:
        """At most so many of the questions, evenly drawn."""
        kept = drawn(len(self.questions), most)
        if len(kept) == len(self.questions):
            return self
        return type(self)(
            questions=[self.questions[at] for at in kept],
            candidates=[self.candidates[at] for at in kept],
            contents=[self.contents[at] for at in kept],
            relevant=[self.relevant[at] for at in kept],
        )

    def ndcg(self, scores: Sequence[Scores] | None = None) -> npt.NDArray[np.float64]:
        """nDCG@10 of each question, shape (n,).

        Args:
            scores: Of each question one score a candidate; the order of the first stage if None.
        """
        orders = [range(len(found)) for found in self.contents] if scores is None else [_order(each) for each in scores]
        # Several chunks of one document are one answer, at the place of its best.
        named = [
            list(dict.fromkeys(found[at] for at in order)) for found, order in zip(self.contents, orders, strict=True)
        ]
        return score(named, self.relevant)["ndcg@10"]

    def scored(self, reranker: Reranker, told: OnQuestions | None = None) -> list[Scores]:
        """What a re-ranker says of each question's candidates."""
        return reranker.rerank_all(self.questions, self.candidates, told)

    def times(self, reranker: Reranker) -> list[float]:
        """Milliseconds of a query, of some queries, once one was done to warm up: fewer of a re-ranker that is slow."""
        took, spent = list[float](), 0.0
        for question, found in [*zip(self.questions, self.candidates, strict=True)][: TIMED + 1]:
            started = perf_counter()
            reranker.rerank(question, found)
            took.append(1000 * (perf_counter() - started))
            spent += took[-1]
            if len(took) > FEWEST and spent > TIMING:
                break
        return took[1:] or took

    def milliseconds(self, reranker: Reranker) -> float:
        """Median of `times`."""
        return float(np.median(self.times(reranker)))


def first_stage(
    reader: Reader, encoder: Encoder, sets: Sequence[QuestionSet], depth: int = DEPTH, most: int | None = None
) -> FirstStage:
    """Search a release for judged questions as its readers do, and keep what both sides say of the candidates.

    Args:
        reader: The release.
        encoder: Its encoder.
        sets: Sets of questions.
        depth: Candidates a question.
        most: Questions of all sets together, evenly drawn; all if None.
    """
    catalogue = Catalogue(reader.pinned.documents)
    judged = [catalogue.judged(each) for each in sets]
    rows = catalogue.every.select("source", "id", "content_hash").iter_rows()
    held = {(source, name): content for source, name, content in rows}
    total = sum(len(each.relevant) for each in judged)
    kept, first, parts = drawn(total, total if most is None else most), 0, []
    for asked, known in zip(sets, judged, strict=True):
        own = [at - first for at in kept if 0 <= at - first < len(known.relevant)]
        first += len(known.relevant)
        texts = known.questions["text"].gather(own).to_list()
        if texts:
            relevant = [known.relevant[at] for at in own]
            parts.append(_searched(reader, encoder, asked.source, texts, relevant, held, depth))
    return FirstStage.joined(parts)


def drawn(total: int, most: int) -> list[int]:
    """Numbers of at most so many of all, evenly drawn, the first and the last among them."""
    return [*range(total)] if total <= most else [int(at) for at in np.linspace(0, total - 1, most)]


def _searched(
    reader: Reader,
    encoder: Encoder,
    source: str | None,
    texts: list[str],
    relevant: list[dict[str, int]],
    held: Mapping[tuple[str, str], str],
    depth: int,
) -> FirstStage:
    """Search for the questions of one set, in the source that it is about."""
    where: Where | None = None if source is None else {"source": source}
    found, sides, _ = answers(reader, lambda: encoder, texts, depth, where, mode_of(reader.release), weighed=SIDES)
    return FirstStage(
        questions=texts,
        candidates=[
            [Candidate(hit.text, similar.get(hit.chunk), words.get(hit.chunk)) for hit in hits]
            for hits, (similar, words) in zip(found, sides, strict=True)
        ],
        contents=[[held[hit.source, hit.document] for hit in hits] for hits in found],
        relevant=relevant,
    )


def _order(scores: Scores) -> list[int]:
    order: list[int] = np.argsort(-scores, kind="stable").tolist()
    return order
