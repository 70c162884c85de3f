"""Times as the world writes them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.sources.times import UNITS, check_form, time_of

SECONDS = st.integers(100_000_000, 4_000_000_000)  # 1973 to 2096: elsewhere a number says less of its unit


@given(count=SECONDS)
def test_every_common_form_of_a_moment_gives_that_moment(count: int) -> None:
    moment = datetime.fromtimestamp(count, UTC)
    forms: list[Any] = [moment, count, float(count), *(count * many for many in UNITS.values())]
    forms += [str(form) for form in forms[1:]]
    forms += [moment.isoformat(), moment.isoformat(" "), moment.strftime("%Y-%m-%dT%H:%M:%SZ")]
    forms += [moment.strftime("%Y/%m/%d %H:%M:%S UTC"), moment.strftime("%Y-%m-%d %H:%M:%S +0000")]
    forms += [format_datetime(moment), format_datetime(moment, usegmt=True), moment.strftime("%a %b %d %H:%M:%S %Y")]
    assert {time_of(form) for form in forms} == {moment}


@given(text=st.text(max_size=60) | st.from_regex(r"[0-9/:. T+-]{1,40}"))
def test_any_text_is_a_time_or_none(text: str) -> None:
    try:
        found = time_of(text)
    except ValueError:
        return
    assert (found is None) == (not text.strip())


@pytest.mark.parametrize(
    "value",
    [
        *("0000-00-00 00:00:00", "NaT", "null", "05.01.2024", "2024", "10000-01-01", "Fri, 5 Jan 2024 10:00:00 CET"),
        *("9999-12-31T23:59:59-01:00", "9" * 20, "x" * 1_000_000, 1e300, float("nan"), float("inf"), True, [2024], {}),
    ],
)
def test_what_is_no_time_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="no time"):
        time_of(value)


@pytest.mark.parametrize(
    ("value", "form", "expected"),
    [
        ("05.01.2024", "%d.%m.%Y", datetime(2024, 1, 5, tzinfo=UTC)),
        (20240105, "%Y%m%d", datetime(2024, 1, 5, tzinfo=UTC)),
        ("05.01.2024 09:00 +0100", "%d.%m.%Y %H:%M %z", datetime(2024, 1, 5, 8, tzinfo=UTC)),
        ("86400000", "ms", datetime(1970, 1, 2, tzinfo=UTC)),
        (86_400, None, datetime(1970, 1, 2, tzinfo=UTC)),
        ("86400", None, datetime(1970, 1, 2, tzinfo=UTC)),
        ("20240105", None, datetime(2024, 1, 5, tzinfo=UTC)),
        (date(2024, 1, 5), "ms", datetime(2024, 1, 5, tzinfo=UTC)),
        (" ", "%d", None),
    ],
)
def test_a_form_of_ones_own_is_the_only_one(value: Any, form: str | None, expected: datetime | None) -> None:
    assert time_of(value, form) == expected


def test_another_form_than_the_one_asked_for_is_no_time() -> None:
    with pytest.raises(ValueError, match="no time"):
        time_of("2024-01-05", "%d.%m.%Y")


@pytest.mark.parametrize("form", ["%Q", "%", "%d %d", "iso", ""])
def test_a_form_that_no_time_has_is_refused(form: str) -> None:
    with pytest.raises(ValueError, match="is no form of a time"):
        check_form(form)
    assert check_form("%d.%m.%Y") == "%d.%m.%Y"
