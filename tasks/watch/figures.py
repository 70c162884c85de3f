"""What is watched: figures, the band that their history draws, and the alarms that are raised over it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

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
    """

    family: Family
    name: str
    value: float
    source: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str, str | None]:
        """What one night's figure has in common with another's."""
        return self.family, self.name, self.source


@dataclass(frozen=True)
class Band:
    """What a figure's own history says is usual.

    Attributes:
        nights: How many nights it is drawn from.
        median: Of them.
        mad: Median absolute deviation.
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
    """

    figure: Figure
    band: Band | None
    over: bool = False
    alarm: bool = False
    nights: int = 0
    advice: str = ""

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
    """

    release: int | None
    figures: tuple[Judged, ...] = ()
    notes: tuple[str, ...] = ()

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
        return Outcome.PASSED

    @property
    def message(self) -> str:
        """One line for people."""
        named = [f"{alarm.name} of {alarm.source or alarm.family}" for alarm in self.alarms]
        return f"{len(named)} alarms: {', '.join(named)}" if named else "no alarm"

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able values."""
        return {
            "release": self.release,
            "alarms": [alarm.to_dict() for alarm in self.alarms],
            "figures": [judged.to_dict() for judged in self.figures],
            "notes": list(self.notes),
        }
