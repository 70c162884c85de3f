"""Parts of a set of questions that may fare unlike the whole: by source, language and length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from tasks.curate.validation.features import detector
from tasks.learn.subject import Judged

__all__ = ["LEAST", "slices"]

LEAST = 10  # questions: of fewer a mean says nothing
SURE = 0.5  # of a language: questions are short

Members = npt.NDArray[np.int64]


def slices(judged: Judged) -> Iterator[tuple[str, str, Members]]:
    """Yield by what, which value, and the rows of the questions that have it.

    What all questions have in common is no slice, and neither are fewer than LEAST of them.

    Args:
        judged: The questions.
    """
    texts = judged.questions["text"].to_list()
    labels = {
        "source": [source or "missing" for source in judged.sources],
        "language": [_language(text) for text in texts],
        "length": [_length(text) for text in texts],
    }
    for by, values in labels.items():
        for value in _ordered(values):
            members = np.flatnonzero([each == value for each in values])
            if LEAST <= len(members) < len(values):
                yield by, value, members


def _ordered(values: Sequence[str]) -> list[str]:
    return sorted(set(values), key=lambda value: (value.startswith("more"), value))


def _language(text: str) -> str:
    best = detector().detect(text.replace("\n", " "))
    return str(best[0]["lang"]) if best and best[0]["score"] >= SURE else "unsure"


def _length(text: str) -> str:
    words = len(text.split())
    return "1 to 4 words" if words < 5 else "5 to 10 words" if words <= 10 else "more than 10 words"
