"""The loop from drift to a better encoder: an alarm proposes a retraining, within a budget; its gate decides."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from flows.config.schema import Config
from storage.errors import LeaseHeld, TidemarkError, summary
from storage.outcome import Outcome
from storage.tables.drift import Drift
from storage.tables.holds import Holds
from storage.tables.runs import Runs
from storage.tables.store import Store
from tasks.stage import in_flow_run

__all__ = ["DRIFT", "barred", "propose"]

logger = logging.getLogger(__name__)

DRIFT = "drift"  # who started a run, where an alarm did
_LOOK = 200  # runs among which the last retraining is looked for
# A retraining that found no news, or no room, has spent nothing.
_FREE = {Outcome.UNCHANGED, Outcome.LEASE_HELD, Outcome.INTERRUPTED}


def propose(config: Config, run: str, release: int | None, retrain: Callable[..., Any]) -> bool:
    """Say that figures alarm, and start a retraining unless a Prefect server does that.

    Args:
        config: The configuration.
        run: The refresh that ended, whose figures they are.
        release: The release that readers see.
        retrain: The flow.

    Returns:
        Whether it was started here.
    """
    alarms = _alarms(Store(config.store.uri), run)
    if not alarms:
        return False
    if in_flow_run():
        from flows.dashboard.watching import LOOP, automated, drifted

        drifted(config.store.uri, {"run": run, "release": release, "alarms": alarms})
        if automated(LOOP):
            return False
    if not config.drift.retrain:
        return False
    try:
        result = retrain(config, proposed=True)
    except LeaseHeld as held:  # another retraining is at work: it learns the same
        logger.info("drift proposed a retraining: %s", held)
    except (TidemarkError, OSError, ValueError, RuntimeError) as error:  # it is recorded as failed; the night was not
        logger.error("the retraining that drift proposed failed: %s", summary(error))
    else:
        logger.info("drift proposed a retraining: %s: %s", result.outcome, result.message)
    return True


def barred(store: Store, config: Config, now: datetime) -> str | None:
    """Why a retraining that an alarm proposes has to wait; None where it may begin.

    Args:
        store: The store.
        config: The configuration.
        now: The time, with zone.
    """
    holds = Holds(store).standing()
    if holds:
        return "the store is held " + "; ".join(each.told for each in holds)
    rows = Runs(store).all(_LOOK, columns=("kind", "trigger", "started", "outcome"))
    spent = [row for row in rows if (row["kind"], row["trigger"]) == ("retrain", DRIFT) and row["outcome"] not in _FREE]
    if not spent:
        return None
    due = spent[0]["started"] + timedelta(days=config.drift.retrain_days)
    if now >= due:
        return None
    last, again = (f"{each.astimezone(UTC):%Y-%m-%d %H:%M}" for each in (spent[0]["started"], due))
    return f"drift started one at {last} UTC, and may again from {again} UTC (drift.retrain_days)"


def _alarms(store: Store, run: str) -> list[dict[str, Any]]:
    columns = ("family", "name", "source", "value", "limit")
    return [{name: row[name] for name in columns} for row in Drift(store).of(run) if row["alarm"]]
