"""What is watched: figures, the band that their history draws, and the alarms that are raised over it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from storage.counts import plural
from storage.outcome import Outcome

__all__ = ["Alarm", "Band", "DriftResult", "Family", "Figure", "Judged"]


class Family(StrEnum):
    """What a figure is about; a member is the very string that stands in the `drift` table and in JSON."""

    DATA = "data"
    EMBEDDINGS = "embeddings"
    QUERIES = "queries"
    ENCODER = "encoder"
    QUALITY = "quality"


@dataclass(frozen=True)
class Figure:
    """One figure of one night.

    Attributes:
        family: What it is about.
        name: Its name within the family, such as `documents` or `mean_difference`.
        value: The figure.
        source: The source that it is of; None where it is of the whole index.
        detail: What a person needs to act on it, JSON-able: examples, cells, the parts of the figure.
        error: Standard error that it has by itself, from how little it was measured of, on the scale that it is judged
            on: a share of three documents says less than one of a thousand.
        space: The vector space that it is of; another space starts a new history. None where vectors do not matter.
    """

    family: Family
    name: str
    value: float
    source: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    error: float = 0.0
    space: str | None = None

    @property
    def key(self) -> tuple[str, str, str | None]:
        """What one night's figure has in common with another's."""
        return self.family, self.name, self.source


@dataclass(frozen=True)
class Band:
    """What a figure's own history says is usual.

    A figure that may be unusual to both sides is judged on the side that it lies on: where it is below the median,
    `highest` is the lowest of the history and `limit` the figure below which it is unusual.

    Attributes:
        nights: How many nights it is drawn from.
        median: Of them.
        mad: Median absolute deviation, on the scale that the figure is judged on (of logarithms for counts).
        highest: Of them.
        limit: Above it a figure is unusual.
    """

    nights: int
    median: float
    mad: float
    highest: float
    limit: float


@dataclass(frozen=True)
class Judged:
    """A figure beside its history.

    Attributes:
        figure: The figure.
        band: Its band; None while the history is too short to judge by.
        over: It is out of the band tonight.
        alarm: It was so often enough to tell somebody.
        nights: For how many of the last nights it was out of the band, this one included.
        advice: What to do about it, in one sentence.
        strength: How far out it is: 0 at the median, 1 at the limit; nan without a band.
        told: It is as unusual as an alarm, and somebody was told within the cool-down.
    """

    figure: Figure
    band: Band | None
    over: bool = False
    alarm: bool = False
    nights: int = 0
    advice: str = ""
    strength: float = math.nan
    told: bool = False

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able values."""
        band = self.band
        return {
            "family": str(self.figure.family),
            "name": self.figure.name,
            "source": self.figure.source,
            "value": self.figure.value,
            "limit": None if band is None else band.limit,
            "median": None if band is None else band.median,
            "highest": None if band is None else band.highest,
            "history": 0 if band is None else band.nights,
            "over": self.over,
            "alarm": self.alarm,
            "told": self.told,
            "nights": self.nights,
            "detail": dict(self.figure.detail),
        }


@dataclass(frozen=True)
class Alarm:
    """What somebody should know: few, named, with the figure and what to do."""

    family: str
    name: str
    source: str | None
    value: float
    limit: float
    nights: int
    advice: str

    @classmethod
    def of(cls, judged: Judged) -> Alarm:
        """The alarm that a judged figure raises."""
        limit = judged.figure.value if judged.band is None else judged.band.limit
        figure = judged.figure
        return cls(str(figure.family), figure.name, figure.source, figure.value, limit, judged.nights, judged.advice)

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able values."""
        return dict(vars(self))


@dataclass(frozen=True)
class DriftResult:
    """What a night, or `tidemark drift`, found.

    Attributes:
        release: The release that it is about.
        figures: All that was measured.
        notes: What could not be watched and why, one line each.
        strict: An alarm that stands is a failure.
    """

    release: int | None
    figures: tuple[Judged, ...] = ()
    notes: tuple[str, ...] = ()
    strict: bool = False

    @property
    def alarms(self) -> tuple[Alarm, ...]:
        """What somebody should know."""
        return tuple(Alarm.of(judged) for judged in self.figures if judged.alarm)

    @property
    def counts(self) -> dict[str, int]:
        """Figures, those out of their band, and alarms."""
        return {
            "figures": len(self.figures),
            "over": sum(judged.over for judged in self.figures),
            "alarms": len(self.alarms),
        }

    @property
    def outcome(self) -> Outcome:
        """Passed: an alarm is news, no failure; `--strict` makes it one."""
        return Outcome.FAILED if self.strict and self.alarms else Outcome.PASSED

    @property
    def message(self) -> str:
        """One line for people."""
        named = [f"{alarm.name} of {alarm.source or alarm.family}" for alarm in self.alarms]
        return f"{plural(len(named), 'alarm')}: {', '.join(named)}" if named else "no alarm"

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able values."""
        return {
            "release": self.release,
            "alarms": [alarm.to_dict() for alarm in self.alarms],
            "figures": [judged.to_dict() for judged in self.figures],
            "notes": list(self.notes),
        }
