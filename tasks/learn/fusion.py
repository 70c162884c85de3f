"""Choose how much the words of a question count, by questions that are there to choose."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from models.encoder import EncoderFolder
from storage.hashing import fingerprint
from storage.tables.roles import TEXT, Fusion, Role
from tasks.context import Context
from tasks.learn.nearest import Asked, nearest_documents
from tasks.learn.questions import QuestionSet
from tasks.learn.rank import through_words
from tasks.learn.subject import Catalogue, Subject
from tasks.search.fuse import DEPTH, fit
from tasks.stage import stage

__all__ = ["Weighed", "fit_words", "weigh"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Weighed:
    """How words are weighed against meaning.

    Attributes:
        fusion: The weight and what says so; None where there are no questions or no full-text index.
        fitted: Whether it was fitted now, and not taken over from the release before.
    """

    fusion: Fusion | None
    fitted: bool = False

    @property
    def counts(self) -> dict[str, int]:
        """Questions that were asked."""
        return {"questions": self.fusion.questions if self.fusion is not None and self.fitted else 0}


@stage
def fit_words(
    context: Context, encoder: EncoderFolder, sets: Sequence[QuestionSet], tables: dict[str, int], role: Role
) -> Weighed:
    """Fit the weight for what is about to be published, or take it over where nothing that decides it has changed.

    A night that only changes documents keeps the weight: it is a fact of encoder and questions, and fitting it anew
    each night would move every score.

    Args:
        context: The run.
        encoder: The encoder of the role.
        sets: Questions that are there to choose.
        tables: Table name to the version that is about to be published.
        role: Its text role.
    """
    if role.index.text is None or not sets:
        return Weighed(None)
    parts = [role.space, role.index.text, DEPTH, sorted(each.fingerprint for each in sets)]
    # Mapped vectors are weaker beside words than those of the encoder itself.
    identity = fingerprint([*parts, *(["bridge"] if role.bridge is not None else [])])
    held = context.base.roles[TEXT].fusion if context.base is not None else None
    if held is not None and held.fingerprint == identity:
        return Weighed(held)
    serving = held.weight if held is not None and held.questions else None
    fusion = weigh(Subject.drafted(context.store, tables, role), encoder, sets, identity, serving=serving)
    logger.info(
        "words weigh %.2f: nDCG@10 %.3f by vectors, %.3f by words, %.3f by both, over %d dev questions",
        fusion.weight,
        fusion.dense,
        fusion.text,
        fusion.hybrid,
        fusion.questions,
    )
    return Weighed(fusion, fitted=True)


def weigh(
    subject: Subject,
    encoder: EncoderFolder,
    sets: Sequence[QuestionSet],
    identity: str = "",
    *,
    serving: float | None = None,
) -> Fusion:
    """Ask all questions by vectors and by words, and choose the weight that answers them best.

    Answers are told by content: a document that is repeated under another id is no miss.

    Args:
        subject: Tables that have a full-text index.
        encoder: The encoder of their space.
        sets: Questions that are there to choose.
        identity: Fingerprint that the result carries.
        serving: The weight of the release before, which stays where another is not surely better.
    """
    catalogue, opened = Catalogue(subject.documents), encoder.open()
    prepared = []
    for each in sets:
        judged, pool = catalogue.judged(each), catalogue.pool(each.source)
        texts = judged.questions["text"].to_list()
        if texts:
            prepared.append((judged, texts, Asked(opened.encode_queries(texts), DEPTH, pool)))
    if not prepared:
        return Fusion(weight=0.0, fingerprint=identity)
    found = nearest_documents(subject.chunks, catalogue.keys, [asked for *_, asked in prepared])
    dense, text, relevant = list[pl.DataFrame](), list[pl.DataFrame](), list[dict[str, int]]()
    for (judged, texts, asked), ranking in zip(prepared, found, strict=True):
        number = (pl.col("query") + len(relevant)).cast(pl.UInt32)  # of a question among those of all sets
        dense.append(catalogue.sides(ranking).with_columns(number))
        by_words = through_words(subject, catalogue, texts, asked.pool)
        text.append(catalogue.sides(by_words).with_columns(number))
        relevant += judged.relevant
    return fit(pl.concat(dense), pl.concat(text), relevant, fingerprint=identity, serving=serving)
