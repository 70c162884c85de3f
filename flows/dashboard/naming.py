"""Names flow runs after the runs of the store, so that the dashboard and `tidemark runs` tell of the same."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext

from flows.run import BEGUN, Run
from storage.outcome import Outcome

__all__ = ["named", "rename"]

logger = logging.getLogger(__name__)

STOPPED = (Outcome.NEEDS_APPROVAL, Outcome.HELD, Outcome.REFUSED, Outcome.FAILED, Outcome.INTERRUPTED)


@contextmanager
def named() -> Iterator[None]:
    """Give the flow run that this is a part of the id of its run, as soon as it has one, and its release at the end."""
    seen: list[Run] = []

    def begun(run: Run) -> None:
        seen.append(run)
        rename(f"{run.kind} {run.id}")

    token = BEGUN.set(begun)
    try:
        yield
    finally:
        BEGUN.reset(token)
        # A run that published nothing has no release: what it knows is the one that serves on.
        if seen and seen[-1].release is not None and seen[-1].outcome not in STOPPED:
            rename(f"{seen[-1].kind} {seen[-1].id} release {seen[-1].release}")


def rename(name: str) -> None:
    """Name the flow run that this is a part of, if it is a part of one.

    A dashboard that does not answer costs a name, never the run.
    """
    import httpx

    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return
    try:
        with get_client(sync_client=True) as client:
            client.update_flow_run(context.flow_run.id, name=name)
    except (httpx.HTTPError, OSError) as error:
        logger.warning("the dashboard did not take the name of the run: %s", error)
