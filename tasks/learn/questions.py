"""Questions with judged documents: what a release, or a challenger, is measured with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import polars as pl

from storage.hashing import fingerprint

__all__ = ["JUDGEMENTS", "QUESTIONS", "Purpose", "QuestionSet", "Split"]

QUESTIONS = pl.Schema({"question": pl.String, "text": pl.String})
JUDGEMENTS = pl.Schema({"question": pl.String, "source": pl.String, "document": pl.String, "grade": pl.Int32})

Split = Literal["train", "dev", "test"]
Purpose = Literal["target", "general"]


@dataclass(frozen=True)
class QuestionSet:
    """Questions, and the documents that answer them.

    Attributes:
        name: Name of the set.
        split: What it may be used for: to train, to choose (dev), or to judge (test).
        role: `target` is what is to become better; `general` only bounds forgetting.
        source: The source whose documents are the pool; None for all that the release holds.
        questions: QUESTIONS: id and text of each question.
        judgements: JUDGEMENTS: source and id of each judged document, and its grade, 0 for one that does not answer.
    """

    name: str
    split: Split
    role: Purpose
    source: str | None
    questions: pl.DataFrame
    judgements: pl.DataFrame

    @property
    def relevant(self) -> pl.DataFrame:
        """The judgements that say that a document answers."""
        return self.judgements.filter(pl.col("grade") > 0)

    @property
    def fingerprint(self) -> str:
        """Identity of what is asked and of what answers, whatever order they stand in."""
        judged = self.judgements.sort("question", "source", "document", "grade").rows()
        return fingerprint([self.source, self.questions.sort("question").rows(), judged])
