"""Ask a person on the dashboard, with a form, before a flow run goes on with what it found."""

from __future__ import annotations

import logging

from prefect.context import FlowRunContext
from prefect.exceptions import FlowPauseTimeout
from prefect.flow_runs import pause_flow_run
from prefect.input import RunInput
from pydantic import Field

__all__ = ["Approval", "approved", "asks"]

logger = logging.getLogger(__name__)

PATIENCE = 24 * 3600  # seconds that a flow run waits for an answer: whoever is asked at night answers by day


class Approval(RunInput):
    """The form of a paused flow run."""

    approve: bool = Field(default=False, description="Publish it.")


def asks() -> bool:
    """Whether somebody looks at this flow run on the dashboard: it belongs to a deployment, not to a command."""
    context = FlowRunContext.get()
    return bool(context and context.flow_run and context.flow_run.deployment_id)


def approved(why: str, *, patience: int = PATIENCE, every: int = 10) -> bool:
    """Pause the flow run with a form, and wait for its answer; the run holds no lease meanwhile.

    Args:
        why: What is to be approved, shown above the form.
        patience: Seconds to wait; no answer is no approval.
        every: Seconds between two looks.
    """
    form = Approval.with_initial_data(description=why)
    try:
        answer = pause_flow_run(wait_for_input=form, timeout=patience, poll_interval=every)
    except FlowPauseTimeout:
        logger.warning("nobody answered within %.0f h: it is not approved", patience / 3600)
        return False
    return bool(answer and answer.approve)
