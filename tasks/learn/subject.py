"""What is evaluated: the tables of a release, published or about to be, and what its documents are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import polars as pl

from storage.reader import Reader
from storage.tables.chunks import ChunkTable
from storage.tables.documents import DocumentTable
from storage.tables.roles import Role
from storage.tables.store import Store
from storage.tables.words import matching
from tasks.learn.nearest import DIGITS, Ranking
from tasks.learn.questions import QuestionSet

__all__ = ["Catalogue", "Judged", "Subject"]

_FOUND = pl.Schema({"query": pl.UInt32, "id": pl.String, "key": pl.String, "score": pl.Float64})
_COLUMNS = ["key", "source", "id", "content_hash", "duplicate_of"]


@dataclass(frozen=True)
class Subject:
    """What is evaluated.

    Attributes:
        chunks: Its chunks.
        documents: Its documents.
        role: How its text role is searched.
        release: Its number; None for what is not published yet.
    """

    chunks: ChunkTable
    documents: DocumentTable
    role: Role
    release: int | None = None

    @classmethod
    def of(cls, reader: Reader) -> Self:
        """A release, as its readers search it."""
        pinned = reader.pinned
        return cls(pinned.chunks, pinned.documents, reader.release.text, reader.release.seq)

    @classmethod
    def drafted(cls, store: Store, tables: Mapping[str, int], role: Role) -> Self:
        """What a run is about to publish: table versions that no tag names yet."""
        chunks = ChunkTable(store, str(role.table), tables[str(role.table)])
        return cls(chunks, DocumentTable(store, tables["documents"]), role)

    @property
    def worded(self) -> bool:
        """Whether it can be searched by words: it has a full-text index."""
        return self.role.index.text is not None

    def words(self, texts: Sequence[str], k: int) -> pl.DataFrame:
        """Rank the chunks that share words with each text by BM25, as `Reader.words` does for what is published.

        Args:
            texts: The questions.
            k: Chunks a question.

        Returns:
            Columns query, id, key and score; best first within a query, the smaller id of equal scores.
        """
        parts = [pl.DataFrame(schema=_FOUND)]
        for number, text in enumerate(texts):
            rows = pl.DataFrame(pl.from_arrow(matching(self.chunks, text, k, ["id", "key"])))
            score = pl.col("_score").cast(pl.Float64).round(DIGITS).alias("score")
            found = rows.select(pl.lit(number, pl.UInt32).alias("query"), "id", "key", score)
            parts.append(found.sort("score", "id", descending=[True, False]))
        return pl.concat(parts)


@dataclass(frozen=True)
class Judged:
    """Questions of a set that can be judged.

    Attributes:
        questions: QUESTIONS of which at least one document answers.
        relevant: Of each question the contents that are judged, and their grades.
        sources: Of each question the source of its best answer; None where that is missing.
        missing: Documents that judgements name and the release does not hold: nothing finds them, so they cost score.
        unanswerable: Questions that no document answers by the judgements; they are left out.
    """

    questions: pl.DataFrame
    relevant: list[dict[str, int]]
    sources: list[str | None]
    missing: int
    unanswerable: int


class Catalogue:
    """The documents of a release: those that are indexed by number, all by source and id; told apart by content.

    Args:
        documents: The documents.
    """

    def __init__(self, documents: DocumentTable) -> None:
        self.every = documents.ledger(_COLUMNS)
        # A duplicate has no chunks: the one that it names is found in its place, and has the same content.
        indexed = self.every.filter(pl.col("duplicate_of").is_null())
        self.keys = indexed["key"]
        self.contents: npt.NDArray[np.object_] = indexed["content_hash"].to_numpy().astype(object)
        # As numbers that know their names: rankings of thousands of questions hold each content many times.
        self._named = indexed["content_hash"].cast(pl.Enum(indexed["content_hash"].unique().sort()))

    def pool(self, source: str | None) -> npt.NDArray[np.bool_]:
        """Whether a search over a source may find each indexed document: bool of shape (indexed documents,).

        A document of the source that is indexed under another one is among them.
        """
        if source is None:
            return np.ones(len(self.keys), dtype=np.bool_)
        own = self.every.filter(pl.col("source") == source)
        wanted = own.select(pl.coalesce("duplicate_of", "key"))["duplicate_of"]
        return np.asarray(self.keys.is_in(wanted.implode()).to_numpy(), dtype=np.bool_)

    def named(self, numbers: npt.NDArray[np.int32]) -> list[list[str]]:
        """The contents of ranked documents, each once: two documents of one content are one answer.

        Args:
            numbers: Shape (n, depth): numbers of documents, below 0 where there is none.
        """
        return [list(dict.fromkeys(self.contents[row[row >= 0]])) for row in numbers]

    def sides(self, ranking: Ranking) -> pl.DataFrame:
        """A ranking as one side of `tasks.search.fuse`: query, key and score, where the key is a content."""
        rows = ranking.frame()
        return rows.select("query", self._named.gather(rows["document"]).alias("key"), "score")

    def judged(self, asked: QuestionSet) -> Judged:
        """Tell by content what answers each question."""
        named = asked.judgements.filter(pl.col("source").is_not_null())
        bare = asked.judgements.filter(pl.col("source").is_null())
        names = self.every.select("source", pl.col("id").alias("document"), "content_hash", held="source")
        # Left, twice: a judgement of a document that is not there stays, without content. One that names no source
        # means every document of that id.
        found = pl.concat(
            [
                named.join(names, on=["source", "document"], how="left"),
                bare.join(names.drop("source"), on="document", how="left"),
            ]
        ).sort("grade", descending=True, maintain_order=True)
        lacking = found.filter(pl.col("content_hash").is_null())
        nowhere = pl.concat_str(pl.lit("missing"), pl.col("source").fill_null(""), pl.col("document"), separator="\x1f")
        graded = (
            found.with_columns(pl.coalesce("content_hash", nowhere).alias("content"))
            .group_by("question", "content", maintain_order=True)
            .agg(pl.col("grade").max())
        )
        relevant: dict[str, dict[str, int]] = {}
        for question, content, grade in graded.iter_rows():
            relevant.setdefault(question, {})[content] = grade
        answered = [name for name, grades in relevant.items() if max(grades.values()) > 0]
        questions = asked.questions.filter(pl.col("question").is_in(answered))
        sources = dict(found.unique("question", keep="first").select("question", "held").iter_rows())
        return Judged(
            questions=questions,
            relevant=[relevant[name] for name in questions["question"]],
            sources=[sources[name] for name in questions["question"]],
            missing=lacking.select("source", "document").n_unique() if lacking.height else 0,
            unanswerable=asked.questions.height - questions.height,
        )
