"""What figures over a sample of questions can say: intervals, paired differences, and what would have been seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["DEVIATION", "Paired", "detectable", "interval", "paired"]

# Of the paired difference of nDCG@10 between two encoders, as seen on four judged collections.
DEVIATION = 0.225

_BATCH = 1_000  # resamples at once: bounds memory to so many times the questions


@dataclass(frozen=True)
class Paired:
    """How two rankings differ over the same questions.

    Attributes:
        difference: Mean of b less mean of a: above 0 where b is better.
        low: Lower end of its interval.
        high: Upper end.
        p: Of the paired randomisation test: how often chance alone would differ as much.
        n: Questions.
        deviation: Standard deviation of the difference of one question.
        detectable: The smallest true difference that so many questions would have shown.
    """

    difference: float
    low: float
    high: float
    p: float
    n: int
    deviation: float
    detectable: float


def interval(
    values: npt.ArrayLike, confidence: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap of the mean (Efron 1979).

    Args:
        values: One figure a question, of shape (n,).
        confidence: Of the interval.
        resamples: Samples that are drawn with replacement.
        seed: Of the draws: the same figures give the same interval.

    Returns:
        Its ends; the mean twice where there is one question, and (nan, nan) without any.
    """
    from scipy.stats import bootstrap

    sample = np.asarray(values, dtype=np.float64)
    if len(sample) < 2 or np.ptp(sample) == 0:
        mean = float(sample.mean()) if len(sample) else float("nan")
        return mean, mean
    found = bootstrap(
        (sample,),
        np.mean,
        vectorized=True,
        n_resamples=resamples,
        batch=_BATCH,
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(found.low), float(found.high)


def paired(
    a: npt.ArrayLike, b: npt.ArrayLike, confidence: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> Paired:
    """Compare two rankings question by question.

    Args:
        a: One figure a question of the first, of shape (n,).
        b: The same questions, of the second.
        confidence: Of the interval.
        resamples: Samples of the bootstrap and of the test (Smucker, Allan and Carterette 2007).
        seed: Of the draws.

    Raises:
        ValueError: They are not of the same questions.
    """
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.shape != second.shape:
        raise ValueError(f"{len(first)} and {len(second)} questions cannot be paired")
    difference = second - first
    n = len(difference)
    deviation = float(difference.std(ddof=1)) if n > 1 else 0.0
    low, high = interval(difference, confidence, resamples, seed)
    return Paired(
        difference=float(difference.mean()) if n else float("nan"),
        low=low,
        high=high,
        p=_chance(difference, resamples, seed),
        n=n,
        deviation=deviation,
        detectable=detectable(deviation, n, confidence=confidence),
    )


def detectable(deviation: float, n: int, power: float = 0.8, confidence: float = 0.95) -> float:
    """The smallest true difference of means that n questions show with some power (two-sided, normal approximation).

    Args:
        deviation: Standard deviation of one question's figure, or of its paired difference.
        n: Questions.
        power: How often it would be shown.
        confidence: Of the interval that must not hold 0.

    Returns:
        The difference; infinite without questions.
    """
    from scipy.special import ndtri

    if n < 1:
        return float("inf")
    return float((ndtri(1 - (1 - confidence) / 2) + ndtri(power)) * deviation / np.sqrt(n))


def _chance(difference: npt.NDArray[np.float64], resamples: int, seed: int) -> float:
    """How often swapping the sides of questions at random gives a mean as far from 0."""
    from scipy.stats import permutation_test

    if len(difference) < 2 or not difference.any():  # every swap gives the same, or the same with the other sign
        return 1.0
    # Half the difference and its opposite stand for the two sides: swapping them turns its sign, and no more.
    found = permutation_test(
        (difference / 2, -difference / 2),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=resamples,
        batch=_BATCH,
        rng=np.random.default_rng(seed),
    )
    return float(found.pvalue)
