"""Where clocks change, a scheduled night is neither skipped nor doubled."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from prefect.server.schemas.schedules import CronSchedule

ROOT = Path(__file__).parents[3]
DAYS = 380


def scheduled() -> list[dict[str, Any]]:
    """The schedules of all deployments."""
    described = yaml.safe_load((ROOT / "deployments" / "prefect.yaml").read_text())
    return [schedule for deployment in described["deployments"] for schedule in deployment["schedules"]]


def days(cron: str, zone: str) -> Counter[Any]:
    """How many runs each day of a year has, by the clock on the wall."""
    start = datetime(2026, 1, 1, tzinfo=ZoneInfo(zone))
    dates = asyncio.run(CronSchedule(cron=cron, timezone=zone).get_dates(DAYS, start=start))
    return Counter(date.astimezone(ZoneInfo(zone)).date() for date in dates)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"])
@pytest.mark.parametrize("hour", [1, 2, 3])
def test_a_night_in_any_hour_comes_once_a_day(zone: str, hour: int) -> None:
    found = days(f"30 {hour} * * *", zone)
    first = min(found)
    assert set(found.values()) == {1}
    assert sorted(found) == [first + timedelta(days=number) for number in range(len(found))]


def test_the_night_that_is_deployed_comes_once_a_day() -> None:
    daily = [schedule for schedule in scheduled() if schedule["cron"].endswith("* * *")]
    assert len(daily) == 1
    assert set(days(daily[0]["cron"], "Europe/Berlin").values()) == {1}
