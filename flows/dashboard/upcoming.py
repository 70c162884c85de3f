"""When the next refresh is due, as the dashboard's schedule says."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

__all__ = ["next_refresh"]

logger = logging.getLogger(__name__)

FLOW = "refresh"


def next_refresh() -> datetime | None:
    """The time of the next scheduled refresh; None where none is planned or the server says nothing.

    A server that does not answer costs a line of the report, never the report.
    """
    import httpx
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowFilter, FlowRunFilter
    from prefect.client.schemas.sorting import FlowRunSort
    from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    due = {"state": {"type": {"any_": ["SCHEDULED"]}}, "expected_start_time": {"after_": datetime.now(UTC)}}
    try:
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}), get_client(sync_client=True) as client:
            found = client.read_flow_runs(
                flow_filter=FlowFilter.model_validate({"name": {"any_": [FLOW]}}),
                flow_run_filter=FlowRunFilter.model_validate(due),
                sort=FlowRunSort.EXPECTED_START_TIME_ASC,
                limit=1,
            )
    except (httpx.HTTPError, OSError) as error:
        logger.warning("the dashboard did not say when the next run is due: %s", error)
        return None
    return found[0].expected_start_time if found else None
