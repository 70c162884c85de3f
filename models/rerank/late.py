"""Late interaction: each token of the question looks for its nearest token of the passage, without any training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from models.encoder import Encoder, Vectors
from models.rerank.base import Candidate, OnQuestions, Scores, Side, TokenEncoder, token_encoder

__all__ = ["LateInteraction", "maxsim"]

QUESTIONS = 512  # asked at once: of each the vectors of its tokens are held
PASSAGES = 64  # encoded at once: up to 400 kB each


@dataclass(frozen=True)
class LateInteraction:
    """MaxSim of ColBERT (Khattab and Zaharia, 2020) over the token vectors of the release's own encoder.

    Attributes:
        encoder: Gives the token vectors.
    """

    name: ClassVar[str] = "late interaction"
    sides: ClassVar[tuple[Side, ...]] = ()
    encoder: TokenEncoder

    @classmethod
    def open(cls, folder: Path, settings: Mapping[str, Any], encoder: Callable[[], Encoder] | None) -> Self:
        """Take the encoder: the folder holds nothing but the kind."""
        del folder, settings
        return cls(token_encoder(encoder() if encoder else None))

    def rerank(self, question: str, candidates: Sequence[Candidate]) -> Scores:
        """Score each candidate by the mean over the question's tokens of the best cosine: shape (n,)."""
        if not candidates:
            return np.empty(0)
        [asked] = self.encoder.encode_tokens([question], "query")
        return maxsim(asked, self.encoder.encode_tokens([candidate.text for candidate in candidates], "document"))

    def rerank_all(
        self, questions: Sequence[str], candidates: Sequence[Sequence[Candidate]], told: OnQuestions | None = None
    ) -> list[Scores]:
        """Score the candidates of many questions: each passage is encoded once, however many questions found it.

        Encoding is nearly all of the time. Passages of one length are encoded together, which leaves little padding,
        and none is kept: its scores are all that is needed of it.
        """
        scores = [np.empty(len(found)) for found in candidates]
        for first in range(0, len(questions), QUESTIONS):
            asked = self.encoder.encode_tokens(questions[first : first + QUESTIONS], "query")
            places: dict[str, list[tuple[int, int]]] = {}
            for number, found in enumerate(candidates[first : first + QUESTIONS]):
                for place, candidate in enumerate(found):
                    places.setdefault(candidate.text, []).append((number, place))
            texts = sorted(places, key=lambda text: (-len(text), text))
            for at in range(0, len(texts), PASSAGES):
                some = texts[at : at + PASSAGES]
                for text, vectors in zip(some, self.encoder.encode_tokens(some, "document"), strict=True):
                    for number, place in places[text]:
                        scores[first + number][place] = maxsim(asked[number], [vectors])[0]
                if told is not None:
                    told(first + len(asked) * (at + len(some)) // len(texts))
        return scores


def maxsim(question: Vectors, passages: Sequence[Vectors]) -> Scores:
    """Compare a question with passages, token by token.

    Args:
        question: Shape (tokens, width), unit norm.
        passages: Each of shape (its tokens, width), at least one token, unit norm.

    Returns:
        Shape (passages,): the mean over the question's tokens of the largest cosine with a token of the passage. A mean
        and not a sum: the order is the same, and questions of all lengths share a scale of -1 to 1.
    """
    starts = np.cumsum([0, *(len(passage) for passage in passages[:-1])])
    similarities = question @ np.concatenate(passages).T
    best: Scores = np.maximum.reduceat(similarities, starts, axis=1).mean(axis=0, dtype=np.float64)
    return best
