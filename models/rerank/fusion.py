"""Logistic fusion: what vectors, words and late interaction say of a candidate, weighed as dev questions taught."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from models.encoder import Encoder
from models.errors import DamagedModel, ModelError
from models.rerank.base import (
    SIDES,
    Candidate,
    OnQuestions,
    Scores,
    Side,
    TokenEncoder,
    scaled,
    token_encoder,
    write_settings,
)
from models.rerank.late import LateInteraction

__all__ = ["FEATURES", "Feature", "LogisticFusion", "features", "fit"]

Feature = Literal["dense", "words", "late"]
FEATURES: tuple[Feature, ...] = ("dense", "words", "late")


@dataclass(frozen=True)
class LogisticFusion:
    """A weighted sum of features, each scaled to 0 to 1 within the candidates of a question.

    Attributes:
        weights: Coefficient of each feature that is used: the log-odds that its whole range adds.
        intercept: Log-odds of a candidate that is last by every feature.
        evidence: What it was fitted on: `questions`, `candidates`, `relevant`.
        encoder: Gives the token vectors; None where late interaction is no feature.
    """

    name: ClassVar[str] = "logistic fusion"
    weights: dict[Feature, float]
    intercept: float
    evidence: dict[str, int]
    encoder: TokenEncoder | None = None

    @classmethod
    def open(cls, folder: Path, settings: Mapping[str, Any], encoder: Callable[[], Encoder] | None) -> Self:
        """Read the weights; the encoder is asked for only where late interaction is a feature."""
        try:
            weights = {name: float(settings["weights"][name]) for name in FEATURES if name in settings["weights"]}
            intercept, evidence = float(settings["intercept"]), dict(settings.get("evidence") or {})
        except (KeyError, TypeError, ValueError) as error:
            raise DamagedModel(f"{folder} holds no weights of a fusion: {error!r}") from error
        tokens = token_encoder(encoder() if encoder else None) if "late" in weights else None
        return cls(weights, intercept, evidence, tokens)

    @property
    def sides(self) -> tuple[Side, ...]:
        """Those that it weighs."""
        return tuple(side for side in SIDES if side in self.weights)

    def save(self, folder: Path) -> str:
        """Write it as JSON into a folder; returns the id of that folder."""
        kept = {"weights": dict(self.weights), "intercept": self.intercept, "evidence": self.evidence}
        return write_settings(folder, "fusion", kept)

    def rerank(self, question: str, candidates: Sequence[Candidate]) -> Scores:
        """Give each candidate the log-odds that it answers: shape (n,)."""
        late = None if self.encoder is None else LateInteraction(self.encoder).rerank(question, candidates)
        return self.score(features(candidates, tuple(self.weights), late))

    def rerank_all(
        self, questions: Sequence[str], candidates: Sequence[Sequence[Candidate]], told: OnQuestions | None = None
    ) -> list[Scores]:
        """Give the candidates of many questions their log-odds."""
        late: Sequence[Scores | None] = [None] * len(candidates)
        if self.encoder is not None:
            late = LateInteraction(self.encoder).rerank_all(questions, candidates, told)
        names = tuple(self.weights)
        return [self.score(features(found, names, each)) for found, each in zip(candidates, late, strict=True)]

    def score(self, values: npt.NDArray[np.float64]) -> Scores:
        """Weigh features that are computed already: shape (n, features), in the order of `weights`, to (n,)."""
        scores: Scores = values @ np.array([*self.weights.values()]) + self.intercept
        return scores


def features(
    candidates: Sequence[Candidate], names: Sequence[Feature], late: Scores | None = None
) -> npt.NDArray[np.float64]:
    """Lay out the features of one question's candidates.

    Args:
        candidates: The candidates of the question.
        names: The features wanted.
        late: Their scores by late interaction; needed for `late` only.

    Returns:
        Shape (n, names), each column scaled to 0 to 1.

    Raises:
        ModelError: `late` is wanted without its scores.
    """
    columns = []
    for name in names:
        if name != "late":
            columns.append(scaled([getattr(candidate, name) for candidate in candidates]))
        elif late is None:
            raise ModelError("late interaction needs an encoder that gives vectors of tokens")
        else:
            columns.append(scaled([*late]))
    return np.stack(columns, axis=1)


def fit(
    values: npt.NDArray[np.float64],
    relevant: npt.NDArray[np.bool_],
    groups: npt.NDArray[np.int64],
    names: Sequence[Feature] = FEATURES,
    encoder: TokenEncoder | None = None,
) -> LogisticFusion:
    """Fit the weights on the candidates of dev questions.

    Args:
        values: Features of all candidates, shape (n, names), as `features` gives them for each question.
        relevant: Whether each candidate answers its question, shape (n,).
        groups: Number of each candidate's question, shape (n,).
        names: Names of the columns.
        encoder: Gives token vectors at search time; needed where `late` is a feature.

    Raises:
        ModelError: no question has both a candidate that answers and one that does not: there is nothing to learn.
    """
    from sklearn.linear_model import LogisticRegression

    # A question whose candidates all answer, or none, says nothing of order: it would only move the intercept.
    _, numbers = np.unique(groups, return_inverse=True)
    right, all_ = np.bincount(numbers, weights=relevant), np.bincount(numbers)
    telling = ((right > 0) & (right < all_))[numbers]
    if not telling.any():
        raise ModelError(
            "no dev question has a right candidate beside a wrong one: fusion needs more dev questions, or deeper lists"
        )
    # Each question counts the same, however many of its candidates answer.
    weight = np.where(relevant, 1 / np.maximum(right, 1)[numbers], 1 / np.maximum(all_ - right, 1)[numbers])
    model = LogisticRegression().fit(values[telling], relevant[telling], sample_weight=weight[telling])
    evidence = {
        "questions": len(np.unique(groups[telling])),
        "candidates": int(telling.sum()),
        "relevant": int(relevant[telling].sum()),
    }
    weights = dict(zip(names, map(float, model.coef_[0]), strict=True))
    return LogisticFusion(weights, float(model.intercept_[0]), evidence, encoder)
