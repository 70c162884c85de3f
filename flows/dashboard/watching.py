"""What a flow run says to the Prefect server that watches it: events, and whether the server tells people by itself."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cache
from typing import Any

from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.events import emit_event
from prefect.settings import PREFECT_UI_URL

from flows.services.automations import automation_name
from storage.hashing import digest
from storage.redaction import redacted
from tasks.watch.notify import Event, NotifyConfig

__all__ = ["automated", "drifted", "page", "watches"]

logger = logging.getLogger(__name__)

LOOP = "Tidemark: drift starts a retraining"  # its name in deployments/automations.yaml


def page() -> str:
    """The page of the flow run on the dashboard; empty outside one."""
    context, ui = FlowRunContext.get(), PREFECT_UI_URL.value()
    run = context.flow_run if context else None
    return f"{str(ui).rstrip('/')}/runs/flow-run/{run.id}" if run and ui else ""


def watches(event: Event, target: NotifyConfig) -> bool:
    """Whether an automation of the server tells somebody of an event."""
    return automated(automation_name(event, target))


@cache
def automated(name: str) -> bool:
    """Whether the server has an automation of this name, switched on; asked once a process.

    Args:
        name: Of the automation.
    """
    import httpx

    try:
        with get_client(sync_client=True) as client:
            return any(each.enabled for each in client.read_automations_by_name(name))
    except (httpx.HTTPError, OSError) as error:
        logger.warning("the dashboard does not say whether it has the automation %r: %s", name, type(error).__name__)
        return False


def drifted(store: str, payload: Mapping[str, Any]) -> None:
    """Say that figures alarm, as the event `tidemark.drift` of a store.

    Args:
        store: Its address; people see it without credentials.
        payload: The alarms, with run and release.
    """
    resource = {
        "prefect.resource.id": f"tidemark.store.{digest(store)[:16]}",
        "prefect.resource.name": redacted(store),
    }
    emit_event("tidemark.drift", resource, payload=dict(payload))
