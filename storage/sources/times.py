"""Times as the world writes them: ISO 8601, RFC 2822, a count since 1970, or a form of one's own."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any

__all__ = ["UNITS", "check_form", "time_of"]

UNITS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
"""Forms that count since 1970: how many make a second."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LARGEST = 2**63
# Below so many a count is of that unit. As seconds they end in the year 5138, as each of the others they begin in 1973:
# a table that spans both sides of a bound has to say its unit.
_BOUNDS = (("s", 10**11), ("ms", 10**14), ("us", 10**17), ("ns", _LARGEST))
_LONGEST = 100  # characters of a time

_COUNT = re.compile(r"[+-]?\d{1,20}(?:\.\d{1,20})?")
_YEAR_FIRST = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[T ] ?(\d{1,2}):(\d{2}.*))?")
_ZONE = re.compile(r" ?(?:(Z|UTC|GMT)|([+-]\d\d:?\d\d))$", re.IGNORECASE)
_MAIL = re.compile(
    r"(?:[A-Za-z]{3,9},? +)?\d{1,2}[ -][A-Za-z]{3}[ -]\d{2,4} +\d{1,2}:\d{2}(?::\d{2})?(?: +([A-Za-z]+|[+-]\d{4}))?"
    r"(?: *\([\w ]*\))?"
)
_ASCTIME = re.compile(r"[A-Za-z]{3} +[A-Za-z]{3} +\d{1,2} +\d{1,2}:\d{2}:\d{2} +\d{4}")
_NAMELESS = {"-0000", "UTC", "GMT", "UT", "Z"}  # zones without an offset of their own


def check_form(form: str) -> str:
    """Refuse a form that no time could have.

    Args:
        form: A unit of `UNITS`, or a form as `datetime.strptime` takes it.

    Raises:
        ValueError: It is neither.
    """
    if form in UNITS:
        return form
    if "%" not in form:
        raise ValueError(f"{form!r} is no form of a time: write {', '.join(UNITS)}, or one such as %d.%m.%Y %H:%M")
    try:
        datetime.strptime("", form)
    except ValueError as error:
        if "bad directive" in str(error) or "stray %" in str(error):
            raise ValueError(f"{form!r} is no form of a time: {error}") from error
    except re.error as error:
        raise ValueError(f"{form!r} is no form of a time: {error}") from error
    return form


def time_of(value: Any, form: str | None = None) -> datetime | None:
    """Read a time; bare ones are in UTC.

    A number counts since 1970, in seconds, milliseconds, microseconds or nanoseconds as its size says. Digits in a
    text are a number too, but for the eight of an ISO date and the four of a year, which is no time.

    Args:
        value: A text, a number, a date or a datetime.
        form: The only form to try for texts and numbers; None tries all that are known.

    Returns:
        The time, or None for a blank text.

    Raises:
        ValueError: It is no time, or one outside the years 1 to 9999.
    """
    try:
        if isinstance(value, bytes):
            value = value.decode()
        if isinstance(value, str):
            value = value.strip()
            return _read(value, form) if value else None
        if isinstance(value, datetime):
            return _zoned(value)
        if isinstance(value, date):
            return datetime(value.year, value.month, value.day, tzinfo=UTC)
        if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
            return _since(value, form) if form is None or form in UNITS else _read(str(value), form)
    except (ValueError, OverflowError, ArithmeticError) as error:
        raise ValueError("no time") from error
    raise ValueError("no time")


def _read(text: str, form: str | None) -> datetime:
    if len(text) > _LONGEST:
        raise ValueError("no time")
    if form in UNITS:
        return _since(Decimal(text), form)
    if form is not None:
        return _zoned(datetime.strptime(text, form))
    if _COUNT.fullmatch(text) and len(text) not in (4, 8):
        return _since(Decimal(text))
    if mail := _MAIL.fullmatch(text) or _ASCTIME.fullmatch(text):
        found = parsedate_to_datetime(text)
        zone = mail.group(1) if mail.re is _MAIL else None
        if zone and found.tzinfo is None and zone.upper() not in _NAMELESS:
            raise ValueError("an unknown zone")  # which the library takes for UTC
        return _zoned(found)
    try:
        return _zoned(datetime.fromisoformat(text))
    except ValueError:
        return _zoned(datetime.fromisoformat(_mended(text)))


def _mended(text: str) -> str:
    """Spell a time whose year comes first as ISO 8601 wants it."""
    found = _YEAR_FIRST.fullmatch(text)
    if found is None:
        raise ValueError("no time")
    year, month, day, hour, rest = found.groups()
    spelled = f"{year}-{month:0>2}-{day:0>2}"
    if hour is None:
        return spelled
    return f"{spelled}T{hour:0>2}:" + _ZONE.sub(lambda zone: zone[2] or "+00:00", rest)


def _since(count: float | Decimal, unit: str | None = None) -> datetime:
    if not -_LARGEST < count < _LARGEST:
        raise ValueError("no time")
    unit = unit or next(name for name, bound in _BOUNDS if -bound < count < bound)
    if unit == "s" and not isinstance(count, Decimal):
        return _EPOCH + timedelta(seconds=count)
    return _EPOCH + int(Decimal(count) * 1_000_000 / UNITS[unit]) * _MICROSECOND


def _zoned(value: datetime) -> datetime:
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
