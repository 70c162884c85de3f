"""Choose how much the words of a question count, by questions that are there to choose."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from models.encoder import EncoderFolder
from storage.hashing import fingerprint
from storage.tables.chunks import ChunkTable
from storage.tables.roles import TEXT, Fusion, Role
from storage.tables.words import matching
from tasks.context import Context
from tasks.learn.questions import QuestionSet
from tasks.learn.subject import Catalogue, Subject
from tasks.search.exact import nearest_exact
from tasks.search.fuse import DEPTH, fit
from tasks.stage import stage

__all__ = ["Weighed", "fit_words", "weigh"]

logger = logging.getLogger(__name__)

_MOST = 2_000  # chunks that are asked for, to find DEPTH of the pool


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
    identity = fingerprint([role.space, role.index.text, DEPTH, sorted(each.fingerprint for each in sets)])
    held = context.base.roles[TEXT].fusion if context.base is not None else None
    if held is not None and held.fingerprint == identity:
        return Weighed(held)
    fusion = weigh(Subject.drafted(context.store, tables, role), encoder, sets, identity)
    logger.info(
        "words weigh %.2f: nDCG@10 %.3f by vectors, %.3f by words, %.3f by both, over %d dev questions",
        fusion.weight,
        fusion.dense,
        fusion.text,
        fusion.hybrid,
        fusion.questions,
    )
    return Weighed(fusion, fitted=True)


def weigh(subject: Subject, encoder: EncoderFolder, sets: Sequence[QuestionSet], identity: str = "") -> Fusion:
    """Ask all questions by vectors and by words, and choose the weight that answers them best.

    Answers are told by content: a document that is repeated under another id is no miss.

    Args:
        subject: Tables that have a full-text index.
        encoder: The encoder of their space.
        sets: Questions that are there to choose.
        identity: Fingerprint that the result carries.
    """
    catalogue, relevant = Catalogue(subject.documents), list[dict[str, int]]()
    contents = pl.DataFrame({"key": catalogue.keys, "content": catalogue.contents.tolist()})
    sides: dict[str, list[pl.DataFrame]] = {"dense": [], "text": []}
    opened = encoder.open()
    for each in sets:
        judged = catalogue.judged(each)
        texts, pool = judged.questions["text"].to_list(), catalogue.keys.filter(catalogue.pool(each.source))
        if not texts:
            continue
        vectors = opened.encode_queries(texts)
        for side, found in (
            ("dense", nearest_exact(subject.chunks, vectors, DEPTH, keys=pool)),
            ("text", _by_words(subject.chunks, texts, pool, len(catalogue.keys))),
        ):
            # Inner: every chunk that is found belongs to a document of the catalogue; its content stands for it.
            named = found.join(contents, on="key", how="inner", maintain_order="left")
            sides[side].append(
                named.select(
                    (pl.col("query") + len(relevant)).alias("query"),
                    "id",
                    pl.col("content").alias("key"),
                    pl.col("score").cast(pl.Float64),
                )
            )
        relevant += judged.relevant
    if not relevant:
        return Fusion(weight=0.0, fingerprint=identity)
    return fit(pl.concat(sides["dense"]), pl.concat(sides["text"]), relevant, fingerprint=identity)


def _by_words(chunks: ChunkTable, texts: Sequence[str], pool: pl.Series, documents: int) -> pl.DataFrame:
    """The best DEPTH chunks of the pool by words: query, id, key and score."""
    share = max(1e-3, len(pool) / max(1, documents))
    wanted = DEPTH if share == 1 else min(_MOST, round(2 * DEPTH / share))
    parts = [pl.DataFrame(schema={"query": pl.UInt32, "id": pl.String, "key": pl.String, "score": pl.Float32})]
    for number, text in enumerate(texts):
        rows = pl.DataFrame(pl.from_arrow(matching(chunks, text, wanted, ["id", "key"])))
        fits = rows.filter(pl.col("key").is_in(pool.implode())).sort("_score", "id", descending=[True, False])
        parts.append(fits.head(DEPTH).select(pl.lit(number, pl.UInt32).alias("query"), "id", "key", score="_score"))
    return pl.concat(parts)
