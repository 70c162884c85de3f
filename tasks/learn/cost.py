"""What an encoder costs whoever searches: milliseconds a query, and bytes of weights, measured side by side."""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import median

from models.encoder import Encoder, EncoderFolder
from models.weights import weight_files
from tasks.learn.promote import Cost

__all__ = ["costs"]

QUESTIONS = 25  # a query takes some milliseconds: the median of so many is steady


def costs(
    champion: tuple[EncoderFolder, Encoder], challenger: tuple[EncoderFolder, Encoder], questions: Sequence[str]
) -> tuple[Cost, Cost]:
    """Time two encoders on the same questions, in turn, so that whatever else the machine does slows both.

    The search itself is left out: it goes through the same kind of index for both.

    Args:
        champion: The published encoder: its files, and opened.
        challenger: The new one.
        questions: Texts; the first of them are timed, one at a time, as searches come.
    """
    asked = list(questions[:QUESTIONS]) or ["how long does a query take"]
    sides = (champion, challenger)
    for _, encoder in sides:
        encoder.encode_queries(asked[:1])  # the first call sets up what the later ones use
    seconds: tuple[list[float], list[float]] = ([], [])
    for question in asked:
        for (_, encoder), taken in zip(sides, seconds, strict=True):
            began = time.perf_counter()
            encoder.encode_queries([question])
            taken.append(time.perf_counter() - began)
    first, second = (
        Cost(round(1_000 * median(taken), 3), _bytes(folder)) for (folder, _), taken in zip(sides, seconds, strict=True)
    )
    return first, second


def _bytes(encoder: EncoderFolder) -> int:
    """Bytes of the files of weights; 0 for a stub, which has none."""
    if encoder.folder is None:
        return 0
    folders = {encoder.folder, *(path for path in encoder.folder.iterdir() if path.is_dir())}
    return sum(file.stat().st_size for folder in folders for file in weight_files(folder))
