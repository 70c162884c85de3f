"""Names flow runs after the runs of the store, so that the dashboard and `tidemark runs` tell of the same."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext

from flows.run import BEGUN, Run

__all__ = ["deployment", "named", "rename"]

logger = logging.getLogger(__name__)


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
        if seen and seen[-1].release is not None:
            rename(f"{seen[-1].kind} {seen[-1].id} release {seen[-1].release}")


def deployment() -> str:
    """The name of the deployment that this flow run belongs to; empty where there is none, or nobody to say it."""
    import httpx

    context = FlowRunContext.get()
    run = context.flow_run if context else None
    if run is None or run.deployment_id is None:
        return ""
    try:
        with get_client(sync_client=True) as client:
            return client.read_deployment(run.deployment_id).name
    except (httpx.HTTPError, OSError) as error:
        logger.warning("the dashboard did not say the name of the deployment: %s", error)
        return ""


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
