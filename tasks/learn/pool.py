"""Questions over a pool of passages in memory: what challengers are chosen by, and pairs are judged with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import numpy.typing as npt
import polars as pl

from models.encoder import Encoder, EncoderFolder
from models.metrics import score
from models.training.dev import DevQuestions
from storage.hashing import digest
from tasks.learn.questions import QuestionSet
from tasks.learn.subject import Catalogue, Subject
from tasks.learn.train import Challenger
from tasks.progress import Progress
from tasks.stage import stage

__all__ = ["Choice", "Pool", "best", "choose", "pool_scores"]

CHAMPION = "champion"
LOOKED_AT = 400  # passages of a look during training: each costs what a step costs

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Pool:
    """Questions and a pool of passages: what answers them, and others drawn at random.

    Attributes:
        questions: Their texts, of all sets one after the other.
        relevant: Of each question the contents that answer it, and their grades.
        passages: key, content and text of chunks; those that answer stand first.
        answers: How many of the passages are of documents that answer a question.
        vectors: What the release has for the passages, shape (passages, dimension); None where it has them not.
    """

    questions: tuple[str, ...] = ()
    relevant: tuple[Mapping[str, int], ...] = ()
    passages: pl.DataFrame = field(
        default_factory=lambda: pl.DataFrame(schema={"key": pl.String, "content": pl.String, "text": pl.String})
    )
    answers: int = 0
    vectors: npt.NDArray[np.float32] | None = field(default=None, compare=False)

    @classmethod
    def of(cls, subject: Subject, sets: Sequence[QuestionSet], *, questions: int, passages: int) -> Self:
        """Draw a pool from a release; the same release and questions give the same pool.

        Args:
            subject: The release.
            sets: Dev questions.
            questions: Questions at most, evenly drawn by their hash.
            passages: Passages at most; those that answer are all taken.
        """
        catalogue = Catalogue(subject.documents)
        texts, relevant = list[str](), list[Mapping[str, int]]()
        for each in sets:
            judged = catalogue.judged(each)
            texts += judged.questions["text"].to_list()
            relevant += judged.relevant
        kept = sorted(range(len(texts)), key=lambda at: digest(texts[at]))[:questions]
        texts, relevant = [texts[at] for at in sorted(kept)], [relevant[at] for at in sorted(kept)]
        wanted = {content for grades in relevant for content, grade in grades.items() if grade > 0}
        found, answers = _passages(subject, catalogue, wanted, passages)
        vectors = _vectors(subject, found["id"])
        return cls(tuple(texts), tuple(relevant), found.drop("id"), answers, vectors)

    @classmethod
    def of_pairs(cls, pairs: pl.DataFrame, others: pl.DataFrame, passages: int) -> Self:
        """A pool of the passages that pairs were cut into, without the words of their questions.

        The index holds the documents with these words in them: over it, such questions would find their own words.

        Args:
            pairs: question, content_hash and passage.
            others: content_hash and passage of further pairs, which answer none of the questions.
            passages: Passages at most; those that answer are all taken.
        """
        answers = pairs.select("content_hash", "passage").unique(maintain_order=True)
        # Anti: a content that answers a question is no distractor, whatever passage of it the other pair has.
        rest = others.select("content_hash", "passage").join(answers, on="content_hash", how="anti").unique("passage")
        rest = rest.sort("content_hash", "passage").head(max(0, passages - answers.height))
        pool = pl.concat([answers, rest]).select(
            pl.col("content_hash").alias("key"),
            pl.col("content_hash").alias("content"),
            pl.col("passage").alias("text"),
        )
        asked = pairs.group_by("question", maintain_order=True).agg("content_hash")
        relevant = tuple(dict.fromkeys(contents, 1) for contents in asked["content_hash"])
        return cls(tuple(asked["question"]), relevant, pool, answers.height)

    def looks(self) -> DevQuestions | None:
        """The same, smaller, for the looks during training; None without questions."""
        if not self.questions:
            return None
        # What answers comes first, so that a part of the pool holds the answers of some questions, whole.
        part = self.passages.head(max(LOOKED_AT, min(self.answers, 2 * LOOKED_AT)))
        places: dict[str, list[int]] = {}
        for number, content in enumerate(part["content"]):
            places.setdefault(content, []).append(number)
        asked = [
            (text, tuple(at for content, grade in grades.items() if grade > 0 for at in places.get(content, ())))
            for text, grades in zip(self.questions, self.relevant, strict=True)
        ]
        answered = [(text, at) for text, at in asked if at]
        return DevQuestions(tuple(text for text, _ in answered), tuple(part["text"]), tuple(at for _, at in answered))


def pool_scores(
    pool: Pool,
    encoder: Encoder,
    progress: Progress | None = None,
    *,
    name: str = "",
    vectors: npt.NDArray[np.float32] | None = None,
) -> Scores:
    """nDCG@10 of each question, by an exact search of the pool: shape (questions,).

    Args:
        pool: Questions and passages.
        encoder: What encodes both.
        progress: Where it says how far it is.
        name: Whose passages it says to encode.
        vectors: Of the passages, where the encoder's are known; encoded if None.
    """
    texts, total = pool.passages["text"].to_list(), pool.passages.height
    unit = f"passages by {name}" if name else "passages"
    report = None if progress is None else lambda now: progress.advance(now.texts, total, unit, now.tokens)
    passages = encoder.encode_documents(texts, report) if vectors is None else vectors
    queries = encoder.encode_queries(list(pool.questions))
    contents = pool.passages["content"].to_numpy()
    ranked = []
    for query in queries:
        order = np.argsort(-np.round(passages @ query, 6), kind="stable")[:100]
        ranked.append(list(dict.fromkeys(contents[order]))[:10])  # a document is as near as its nearest chunk
    return score(ranked, pool.relevant)["ndcg@10"]


@dataclass(frozen=True)
class Choice:
    """Which challenger goes on to the gate.

    Attributes:
        name: Of the challenger.
        means: Mean nDCG@10 on the dev questions, of the champion and of each challenger; empty without dev questions.
        questions: How many dev questions there were.
        reasons: Why none goes on; empty where one does.
    """

    name: str
    means: Mapping[str, float]
    questions: int
    reasons: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """Dev questions."""
        return {"questions": self.questions}


@stage
def choose(
    pool: Pool, champion: EncoderFolder, challengers: Sequence[Challenger], margin: float, progress: Progress
) -> Choice:
    """Choose by dev questions, which are not those that the gate judges by.

    Args:
        pool: Dev questions and passages.
        champion: What serves now: a challenger that is no better goes no further, before anything is embedded.
        challengers: The one that forgets least first.
        margin: nDCG@10 by which another must be better than that one.
        progress: Where it says how far it is.
    """
    preferred = challengers[0].name
    if not pool.questions:
        return Choice(preferred, {}, 0)
    encoders = {each.name: each.encoder for each in challengers} | {CHAMPION: champion}
    scores = {
        # The pool is of the release that the champion serves, so its vectors are there already.
        name: pool_scores(pool, encoder.open(), progress, name=name, vectors=pool.vectors if name == CHAMPION else None)
        for name, encoder in encoders.items()
    }
    means = {name: round(float(values.mean()), 6) for name, values in scores.items()}
    chosen = best({each.name: scores[each.name] for each in challengers}, preferred, margin)
    reasons: tuple[str, ...] = ()
    if means[chosen] <= means[CHAMPION]:
        reasons = (
            f"nDCG@10 on {len(pool.questions):,} dev questions is {means[chosen]:.3f} after training and "
            f"{means[CHAMPION]:.3f} before: nothing was learned that helps",
        )
    return Choice(chosen, means, len(pool.questions), reasons)


def best(scores: Mapping[str, Scores], preferred: str, margin: float) -> str:
    """Name the challenger to go on with.

    What another learns more it also forgets more, and what is forgotten refuses it at the gate, and the whole training
    with it: so its lead must be worth that.

    Args:
        scores: Challenger to its dev scores, all of the same questions.
        preferred: The one that forgets least: another must be better by the margin.
        margin: nDCG@10.
    """
    means = {name: float(values.mean()) for name, values in scores.items()}
    leader = max(means, key=lambda name: (means[name], name))
    return leader if means[leader] - means[preferred] >= margin else preferred


def _passages(subject: Subject, catalogue: Catalogue, wanted: set[str], most: int) -> tuple[pl.DataFrame, int]:
    """The chunks of documents that answer, then those of other documents in the order of their hashes."""
    named = pl.DataFrame({"key": catalogue.keys, "content": catalogue.contents.astype(str)})
    answering = pl.col("content").is_in(list(wanted))
    first = named.filter(answering)
    others = named.filter(~answering).sort("content").head(max(0, most - first.height))
    chosen = pl.concat([first.with_columns(answers=True), others.with_columns(answers=False)])
    parts = []
    for part in subject.chunks.columns(["key", "id", "text"]):
        # Inner: of the chunks those of a chosen document, with its content; each document is in `chosen` once.
        parts.append(part.join(chosen, on="key", how="inner"))
    rows = pl.concat(parts).sort("answers", "id", descending=[True, False])
    answers = int(rows["answers"].sum())
    return rows.select("id", "key", "content", "text").head(max(most, answers)), answers


def _vectors(subject: Subject, ids: pl.Series) -> npt.NDArray[np.float32]:
    """The vectors of these chunks, in the order of the ids."""
    found, vectors = subject.chunks.vectors_of(ids)
    place = {chunk: at for at, chunk in enumerate(found)}
    return vectors[[place[chunk] for chunk in ids]]
