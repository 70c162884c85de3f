"""What a search finds for judged questions before it is ordered once more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import numpy.typing as npt

from models.encoder import Encoder
from models.metrics import score
from models.rerank.base import Candidate, Reranker, Scores
from storage.filters import Where
from storage.reader import Hit, Reader
from tasks.learn.questions import QuestionSet
from tasks.learn.subject import Catalogue
from tasks.search.rerank import DEPTH

__all__ = ["Answers", "FirstStage", "first_stage"]

# From texts, a depth and a filter to the hits of each text, and the similarity by vectors of each chunk.
Answers = Callable[[Sequence[str], int, Where | None], tuple[list[list[Hit]], list[dict[str, float]]]]

TIMED = 10  # questions whose re-ranking is timed


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

    def scored(self, reranker: Reranker) -> list[Scores]:
        """What a re-ranker says of each question's candidates."""
        return [reranker.rerank(*each) for each in zip(self.questions, self.candidates, strict=True)]

    def milliseconds(self, reranker: Reranker) -> float:
        """Median time of a query, once one was done to warm up."""
        times = []
        for question, found in [*zip(self.questions, self.candidates, strict=True)][: TIMED + 1]:
            started = perf_counter()
            reranker.rerank(question, found)
            times.append(1000 * (perf_counter() - started))
        return float(np.median(times[1:] or times))


def first_stage(
    reader: Reader,
    encoder: Encoder,
    asked: QuestionSet,
    depth: int = DEPTH,
    answers: Answers | None = None,
) -> FirstStage:
    """Search a release for judged questions, by vectors and, where it has a full-text index, by words.

    Args:
        reader: The release.
        encoder: Its encoder.
        asked: The questions.
        depth: Candidates a question.
        answers: How the release orders what it finds, where that is not by vectors alone; it gives of each question
            the hits, best first, and the similarity by vectors of each chunk that these found.
    """
    catalogue = Catalogue(reader.pinned.documents)
    judged = catalogue.judged(asked)
    rows = catalogue.every.select("source", "id", "content_hash").iter_rows()
    held = {(source, name): content for source, name, content in rows}
    texts = judged.questions["text"].to_list()
    where: Where | None = None if asked.source is None else {"source": asked.source}
    if answers is None:
        found = reader.search(encoder.encode_queries(texts), depth, space=encoder.space.id, where=where)
        dense = [{hit.chunk: hit.score for hit in hits} for hits in found]
    else:
        found, dense = answers(texts, depth, where)
    matching = _words(reader, texts, depth, where)
    return FirstStage(
        questions=texts,
        candidates=[
            [Candidate(hit.text, similar.get(hit.chunk), words.get(hit.chunk)) for hit in hits]
            for hits, similar, words in zip(found, dense, matching, strict=True)
        ],
        contents=[[held[hit.source, hit.document] for hit in hits] for hits in found],
        relevant=judged.relevant,
    )


def _words(reader: Reader, texts: Sequence[str], depth: int, where: Where | None) -> list[dict[str, float]]:
    """BM25 of the chunks that each question's words find; nothing where the release has no full-text index."""
    scores: list[dict[str, float]] = [{} for _ in texts]
    if reader.release.text.index.text is None:
        return scores
    # Far deeper than the candidates: one that the words rank 90th is still better than one without a word in common.
    for query, chunk, found in reader.words(texts, 10 * depth, where).select("query", "id", "score").iter_rows():
        scores[query][chunk] = found
    return scores


def _order(scores: Scores) -> list[int]:
    order: list[int] = np.argsort(-scores, kind="stable").tolist()
    return order
