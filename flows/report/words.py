"""How a report writes times, numbers and names: short, in UTC, and with nothing in them that steers or betrays."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from flows.views.parts import clean, size
from flows.views.progress import duration
from storage.counts import plural
from storage.redaction import redacted

__all__ = ["ago", "amount", "day", "duration", "figure", "moment", "say", "size"]

NONE = "-"
LONGEST = 120  # characters of a name: one of ten thousand would be a page of its own


def say(text: object, most: int = LONGEST) -> str:
    """Write what somebody else wrote: one line, shortened in its middle, without secrets and control characters.

    Args:
        text: The text.
        most: Characters, at most.
    """
    line = " ".join(redacted(clean(text)).split())
    # A name that is no UTF-8 (a lone surrogate) is shown as it would be escaped: a file could not hold it.
    line = line.encode("utf-8", "backslashreplace").decode()
    return line if len(line) <= most else f"{line[: most * 2 // 3]} ... {line[-most // 4 :]}"


def moment(then: datetime) -> str:
    """Write a time: "27 Nov 2026, 02:00 UTC"."""
    return f"{then.astimezone(UTC):%-d %b %Y, %H:%M} UTC"


def day(then: datetime) -> str:
    """Write a date for an axis: "27 Nov"."""
    return f"{then.astimezone(UTC):%-d %b}"


def ago(then: datetime, now: datetime) -> str:
    """Write how long something has been: "7 hours", "2 days"."""
    passed = max(now - then, timedelta())
    for unit, name in ((timedelta(days=1), "day"), (timedelta(hours=1), "hour"), (timedelta(minutes=1), "minute")):
        if passed >= 2 * unit or (passed >= unit and name != "day"):
            return plural(int(passed / unit), name)
    return "less than a minute"


def amount(count: float | None) -> str:
    """Write a whole number, or a dash where there is none."""
    return NONE if count is None else f"{count:,.0f}"


def figure(value: float | None) -> str:
    """Write a measured number with three or four digits that say something."""
    if value is None or math.isnan(value):
        return NONE
    if value == int(value) and abs(value) < 1e15:
        return f"{value:,.0f}"
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.4g}" if abs(value) >= 0.001 else f"{value:.1e}"
