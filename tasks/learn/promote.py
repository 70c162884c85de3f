"""The gate of a challenger: the bars that it must clear before readers meet it, each with the figures behind it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from models.statistics import Paired, paired
from storage.outcome import Outcome
from tasks.learn.config import QualityConfig
from tasks.learn.questions import Purpose
from tasks.verdict import Verdict

__all__ = ["FEWEST", "Bar", "Comparison", "Cost", "Promotion", "judge"]

FEWEST = 20  # questions of a slice that may stop a challenger: fewer show nothing but luck

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Cost:
    """What an encoder costs whoever searches with it.

    Attributes:
        milliseconds: Of one query, encoding and search.
        bytes: Of its weights.
    """

    milliseconds: float
    bytes: int


@dataclass(frozen=True)
class Comparison:
    """Champion and challenger on the same questions over the same documents.

    Attributes:
        name: Name of the set of questions.
        role: Whether it is what is to become better, or only bounds forgetting.
        champion: nDCG@10 of each question, shape (n,).
        challenger: nDCG@10 of each question, shape (n,), in the same order.
        slices: `by=value` to the questions in it, boolean of shape (n,).
    """

    name: str
    role: Purpose
    champion: Scores
    challenger: Scores
    slices: Mapping[str, npt.NDArray[np.bool_]] = field(default_factory=dict)


@dataclass(frozen=True)
class Bar:
    """One bar of the gate.

    Attributes:
        name: `gain`, `forgetting`, `slice`, `latency` or `size`.
        of: The set, or the slice, that it was measured on.
        value: What was measured.
        limit: What it had to reach, or not to pass.
        holds: Whether it did.
        message: The same in words, with the interval where there is one.
        low: Lower end of the interval of the value.
        high: Its upper end.
        questions: How many questions it was measured on.
        detectable: The smallest effect that so many questions show in four of five cases.
        p: Of the paired randomisation test: how often chance alone would differ as much.
    """

    name: str
    of: str
    value: float
    limit: float
    holds: bool
    message: str
    low: float | None = None
    high: float | None = None
    questions: int | None = None
    detectable: float | None = None
    p: float | None = None


@dataclass(frozen=True)
class Promotion:
    """What the gate says of a challenger.

    Attributes:
        bars: Every bar, those that hold too.
    """

    bars: tuple[Bar, ...]

    @property
    def passes(self) -> bool:
        """Whether every bar holds."""
        return all(bar.holds for bar in self.bars)

    @property
    def reasons(self) -> tuple[str, ...]:
        """The bars that were missed, in words."""
        return tuple(bar.message for bar in self.bars if not bar.holds)

    @property
    def verdict(self) -> Verdict:
        """Passed, or refused by name of the bars that were missed."""
        return Verdict(Outcome.PASSED) if self.passes else Verdict(Outcome.REFUSED, self.reasons)

    def to_dict(self) -> dict[str, Any]:
        """The verdict with its numbers, as JSON-able values."""
        return {"passes": self.passes, "reasons": list(self.reasons), "bars": [asdict(bar) for bar in self.bars]}


def judge(
    comparisons: Sequence[Comparison], champion: Cost, challenger: Cost, config: QualityConfig, *, seed: int = 0
) -> Promotion:
    """Hold a challenger against the champion: gain, forgetting, slices, latency and size.

    The gain is measured on all target questions together, paired. It must reach `min_gain`, and its interval must lie
    above 0: a minimum effect alone is decided by chance where questions are few, an interval alone lets effects pass
    that nobody would notice.

    Args:
        comparisons: Test questions, none of which was trained on or chosen by.
        champion: What the published encoder costs.
        challenger: What the new one costs, measured beside it.
        config: The bars.
        seed: Of the resamples.
    """
    targets = [each for each in comparisons if each.role == "target" and len(each.champion)]
    bars = [_gain(targets, config, seed)]
    bars += [_forgetting(each, config, seed) for each in comparisons if each.role == "general" and len(each.champion)]
    for each in targets:
        bars += _slices(each, config, seed)
    bars.append(_ratio("latency", "ms a query", champion.milliseconds, challenger.milliseconds, config.max_latency))
    bars.append(_ratio("size", "bytes of weights", champion.bytes, challenger.bytes, config.max_size))
    return Promotion(tuple(bars))


def _gain(targets: Sequence[Comparison], config: QualityConfig, seed: int) -> Bar:
    if not targets:
        return Bar(
            "gain", "", 0, config.min_gain, False, "there is no test question of a target set: nothing proves a gain"
        )
    names = ", ".join(each.name for each in targets)
    champion, challenger = (
        np.concatenate([getattr(each, side) for each in targets]) for side in ("champion", "challenger")
    )
    found = paired(champion, challenger, confidence=config.confidence, seed=seed)
    enough = found.difference >= config.min_gain
    sure = found.low > 0 and found.p <= 1 - config.confidence
    said = f"nDCG@10 on {names} changed by {_interval(found)}"
    if not enough:
        said += f"; at least {config.min_gain:+.3f} is asked"
    elif not sure:
        said += f": within noise, {found.n:,} questions show an effect of {found.detectable:.3f}"
    return _paired_bar("gain", names, found, config.min_gain, enough and sure, said)


def _forgetting(each: Comparison, config: QualityConfig, seed: int) -> Bar:
    found = paired(each.champion, each.challenger, confidence=config.confidence, seed=seed)
    holds = found.difference >= -config.max_forgetting
    said = f"nDCG@10 on the general set {each.name} changed by {_interval(found)}"
    if not holds:
        said += f": it forgets more than {config.max_forgetting:.3f}"
    return _paired_bar("forgetting", each.name, found, -config.max_forgetting, holds, said)


def _slices(each: Comparison, config: QualityConfig, seed: int) -> Iterator[Bar]:
    """A slice stops a challenger that surely loses there: many are looked at, and one of them is always unlucky."""
    for name, mask in each.slices.items():
        if mask.all() or int(mask.sum()) < FEWEST:
            continue
        found = paired(each.champion[mask], each.challenger[mask], confidence=config.confidence, seed=seed)
        holds = found.difference >= -config.max_slice_loss or found.high >= 0
        said = f"nDCG@10 on {each.name}, {name}, changed by {_interval(found)}"
        if not holds:
            said += f": a slice may lose {config.max_slice_loss:.3f}"
        yield _paired_bar("slice", f"{each.name}, {name}", found, -config.max_slice_loss, holds, said)


def _ratio(name: str, unit: str, champion: float, challenger: float, limit: float) -> Bar:
    ratio = challenger / champion if champion else 1.0
    said = f"{challenger:,.4g} {unit}, {ratio:.2f} times the champion's {champion:,.4g}"
    if ratio > limit:
        said += f"; at most {limit:.2f} times are allowed"
    return Bar(name, unit, ratio, limit, ratio <= limit, said)


def _paired_bar(name: str, of: str, found: Paired, limit: float, holds: bool, message: str) -> Bar:
    return Bar(
        name,
        of,
        found.difference,
        limit,
        bool(holds),
        message,
        low=found.low,
        high=found.high,
        questions=found.n,
        detectable=found.detectable,
        p=found.p,
    )


def _interval(found: Paired) -> str:
    return f"{found.difference:+.3f} [{found.low:+.3f}, {found.high:+.3f}] over {found.n:,} questions"
